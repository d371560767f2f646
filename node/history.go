package node

import (
	"fmt"
	"strconv"
	"strings"

	"pttnode/entity"
)

// parseHistory reads what a newcomer may read of the past: "all", "from-join" or
// "last:SECONDS".
func parseHistory(s string) (entity.History, error) {
	switch s {
	case "all":
		return entity.History{Mode: entity.HistoryAll}, nil
	case "from-join":
		return entity.History{Mode: entity.HistoryFromJoin}, nil
	}
	text, last := strings.CutPrefix(s, "last:")
	if seconds, err := strconv.ParseUint(text, 10, 32); last && err == nil && seconds > 0 {
		return entity.History{Mode: entity.HistoryLast, Last: seconds}, nil
	}
	return entity.History{}, refuse("usage", "what", "history is all, from-join, or a time as 30d")
}

// historyText is parseHistory's inverse.
func historyText(h entity.History) string {
	switch h.Mode {
	case entity.HistoryAll:
		return "all"
	case entity.HistoryFromJoin:
		return "from-join"
	case entity.HistoryLast:
		return fmt.Sprintf("last:%d", h.Last)
	}
	return ""
}
