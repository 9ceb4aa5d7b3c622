package report

import (
	"image"

	"github.com/janpfeifer/gonb/gonbui"
)

// Each function waits until the kernel has what it was sent: what a program displays just before its end is lost otherwise.

// Show displays a figure below the running cell: as PNG, which every viewer of notebooks shows, and its words in
// Markdown. Outside a notebook it does nothing.
func Show(f Figure) error {
	if !gonbui.IsNotebook {
		return nil
	}
	data, err := f.PNG(1.5)
	if err != nil {
		return err
	}
	gonbui.DisplayPng(data)
	gonbui.DisplayMarkdown("**" + f.Title + ".** " + f.Caption)
	gonbui.Sync()
	return nil
}

// ShowTable displays the table of the methods. Outside a notebook it does nothing.
func ShowTable(methods []Method) {
	gonbui.DisplayMarkdown(MarkdownTable(methods))
	gonbui.Sync()
}

// ShowVerdict displays the sentences of [Verdict] as a list. Outside a notebook it does nothing.
func ShowVerdict(methods []Method) {
	text := ""
	for _, s := range Verdict(methods) {
		text += "- " + s + "\n"
	}
	gonbui.DisplayMarkdown(text)
	gonbui.Sync()
}

// ShowImage displays an image, such as one of [Grid] or [Strips]. Outside a notebook it does nothing.
func ShowImage(img image.Image) error {
	if !gonbui.IsNotebook {
		return nil
	}
	data, err := PNG(img)
	if err != nil {
		return err
	}
	gonbui.DisplayPng(data)
	gonbui.Sync()
	return nil
}
