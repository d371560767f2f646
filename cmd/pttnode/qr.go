package main

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the margin of a picture in modules; readers want one, and two leave
// room for text on 24 lines.
const quiet = 2

// picture draws text as a QR code, two modules to a character. Light modules are
// drawn and dark ones left out, as a dark terminal wants it; readers take the
// other way round too.
func picture(text string) (string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("draw the link: %w", err)
	}
	light := func(x, y int) bool { return !code.Black(x, y) } // outside is light
	var out strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := light(x, y), light(x, y+1) && y+1 < code.Size+quiet
			switch {
			case upper && lower:
				out.WriteRune('█')
			case upper:
				out.WriteRune('▀')
			case lower:
				out.WriteRune('▄')
			default:
				out.WriteByte(' ')
			}
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}
