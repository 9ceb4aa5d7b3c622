// Command palimpsest trains diffusion models on one task after another and shows what they forget.
package main

import (
	"os"

	"palimpsest/pkg/command"
)

func main() { os.Exit(command.Main()) }
