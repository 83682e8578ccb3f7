package explain

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The headings of a page.
const (
	wrongHeading = "## Wrong"
	rightHeading = "## Right"
)

// parse reads a page, and accepts nothing but the form that the package's
// documentation describes.
func parse(text string) (Page, error) {
	why, sides, found := strings.Cut(text, "\n"+wrongHeading+"\n")
	if !found {
		return Page{}, errors.New("there is no " + wrongHeading)
	}
	wrong, right, found := strings.Cut(sides, "\n"+rightHeading+"\n")
	if !found {
		return Page{}, errors.New("there is no " + rightHeading + " below " + wrongHeading)
	}
	reason, err := parseSide(why)
	switch {
	case err != nil:
		return Page{}, err
	case len(reason.Words) == 0 || len(reason.Blocks) > 0:
		return Page{}, errors.New("above " + wrongHeading + " there are paragraphs that say why, and nothing else")
	}
	page := Page{Why: reason.Words}
	if page.Wrong, err = parseSide(wrong); err != nil {
		return Page{}, fmt.Errorf("%s: %w", wrongHeading, err)
	}
	if page.Right, err = parseSide(right); err != nil {
		return Page{}, fmt.Errorf("%s: %w", rightHeading, err)
	}
	return page, nil
}

// sideParser reads paragraphs and blocks, line by line.
type sideParser struct {
	side      Side
	paragraph []string
	open      bool // in a block: the last of side
}

func parseSide(text string) (Side, error) {
	var p sideParser
	for line := range strings.Lines(text) {
		if err := p.line(strings.TrimSuffix(line, "\n")); err != nil {
			return Side{}, err
		}
	}
	p.endParagraph()
	switch {
	case p.open:
		return Side{}, errors.New("a block is not closed")
	case len(p.side.Words)+len(p.side.Blocks) == 0:
		return Side{}, errors.New("there is nothing here")
	}
	return p.side, nil
}

func (p *sideParser) line(line string) error {
	info, fence := strings.CutPrefix(line, "```")
	switch {
	case p.open && line == "```":
		p.open = false
	case p.open:
		last := &p.side.Blocks[len(p.side.Blocks)-1]
		last.Text += line + "\n"
	case fence:
		p.endParagraph()
		p.open = true
		return p.begin(strings.Fields(info))
	case line == "":
		p.endParagraph()
	case strings.HasPrefix(line, "#"):
		return fmt.Errorf("heading %q is none of a page", line)
	default:
		p.paragraph = append(p.paragraph, line)
	}
	return nil
}

// begin starts a block by what stands behind its fence.
func (p *sideParser) begin(info []string) error {
	switch {
	case slices.Equal(info, []string{"console"}):
		p.side.Blocks = append(p.side.Blocks, Block{Language: "console"})
	case len(info) == 2 && path.Ext(info[1]) == "."+info[0] && (info[0] == "yaml" || info[0] == "cue"):
		p.side.Blocks = append(p.side.Blocks, Block{Language: info[0], File: info[1]})
	default:
		return fmt.Errorf("a block begins with ```yaml PATH, ```cue PATH or ```console, not with %q", strings.Join(info, " "))
	}
	return nil
}

func (p *sideParser) endParagraph() {
	if len(p.paragraph) > 0 {
		p.side.Words = append(p.side.Words, strings.Join(p.paragraph, " "))
	}
	p.paragraph = nil
}

// Listing is the block as it is shown: with its file's name as a comment.
func (b Block) Listing() string {
	switch b.Language {
	case "console":
		return b.Text
	case "cue":
		return "// " + b.File + "\n" + b.Text
	default:
		return "# " + b.File + "\n" + b.Text
	}
}
