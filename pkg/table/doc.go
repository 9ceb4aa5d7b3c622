// Package table holds tables of text, and writes them for a terminal, as Markdown and as HTML. It also keeps tables in Markdown
// files as they are generated: [WriteSection] renews a marked part of a file, [CheckSection] compares it. The package knows
// neither runs nor metrics.
package table
