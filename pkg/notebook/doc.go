// Package notebook is what cells call: a run with its progress below the cell, and figures, tables and sentences shown there. All
// it shows is made elsewhere; only this package, and the check of a strategy in cltest, know the kernel's display.
//
// # Conventions
//
// What a cell calls may fail: [Must] and [Get] then end the cell, with one line that names the cell's. Outside a notebook every
// function that shows something shows nothing. Each waits until the kernel has what it was sent: what a program displays just
// before its end is lost otherwise.
package notebook
