package httpapi

import (
	"fmt"
	"log/slog"
	"unicode/utf8"

	"github.com/flopynet/collector/model"
)

const hexDigits = "0123456789abcdef"

// appendJSONString appends text as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendJSONString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); {
		b := text[i]
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, text[start:i]...)
				dst = append(dst, `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if b < 0x20 || b == '"' || b == '\\' {
			dst = append(dst, text[start:i]...)
			dst = appendEscape(dst, b)
			start = i + 1
		}
		i++
	}
	dst = append(dst, text[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
	}
}

// appendNullableString appends text as a JSON string, or null when it is empty.
func appendNullableString(dst []byte, text string) []byte {
	if text == "" {
		return append(dst, "null"...)
	}
	return appendJSONString(dst, text)
}

// appendTags appends tags as a JSON object, without the source.
func appendTags(dst []byte, tags model.Tags) []byte {
	dst = append(dst, '{')
	first := true
	for _, tag := range tags {
		if tag.Key == model.SourceKey {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendJSONString(dst, tag.Key), ':')
		dst = appendJSONString(dst, tag.Value)
	}
	return append(dst, '}')
}

// lazyText is formatted only if somebody logs it.
type lazyText struct {
	format string
	args   []any
}

// LogValue implements slog.LogValuer.
func (l lazyText) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf(l.format, l.args...)) }
