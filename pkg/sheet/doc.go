// Package sheet makes contact sheets, one picture of many images in rows and columns, and reads them back. It needs no library
// for plots, so that a training run links none.
//
// # Conventions
//
// Images are [N, height, width, channels] float32 in [-1, 1], channels 1 or 3. Files are PNG.
package sheet
