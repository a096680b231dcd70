package callback

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// A body is read whole, or not at all, however it comes and whatever was said of
// its length.
func TestReadBody(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), maxBody/16+1)
	readers := map[string]func(io.Reader) io.Reader{
		"at once":         func(r io.Reader) io.Reader { return r },
		"by halves":       iotest.HalfReader,
		"byte by byte":    iotest.OneByteReader,
		"the end with it": iotest.DataErrReader,
	}
	for _, size := range []int{0, 1, 500, commonBody - 1, commonBody, commonBody + 1, 20_000, maxBody - 1, maxBody, maxBody + 1, len(content)} {
		for _, announced := range []int64{-1, 0, int64(size), int64(size) + 9} {
			for name, by := range readers {
				body, err := readBody(by(bytes.NewReader(content[:size])), announced)
				if size > maxBody {
					if !errors.Is(err, errTooLarge) || body != nil {
						t.Errorf("%d bytes, %s, announced as %d: %d bytes, %v", size, name, announced, len(body), err)
					}
				} else if err != nil || !bytes.Equal(body, content[:size]) {
					t.Errorf("%d bytes, %s, announced as %d: %d bytes, %v", size, name, announced, len(body), err)
				}
			}
		}
	}
	if body, err := readBody(io.MultiReader(bytes.NewReader(content[:100]), iotest.ErrReader(io.ErrUnexpectedEOF)), 200); !errors.Is(err, errBroken) || body != nil {
		t.Errorf("a body that breaks off: %d bytes, %v", len(body), err)
	}
	if body, err := readBody(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(content[:100]))), 200); !errors.Is(err, errBroken) || body != nil {
		t.Errorf("a reader that fails: %d bytes, %v", len(body), err)
	}
}
