package sms

import (
	"slices"
)

// Encoding is how a network carries a text.
type Encoding string

// The encodings: the 7-bit default alphabet of 3GPP TS 23.038, and UTF-16 for
// every text that holds a character outside it.
const (
	EncodingGSM7 Encoding = "GSM-7"
	EncodingUCS2 Encoding = "UCS-2"
)

// What one segment carries, in units. A text of several segments loses six
// bytes of each to the header that joins them.
const (
	gsmAlone, gsmJoined = 160, 153
	ucsAlone, ucsJoined = 70, 67
)

// MaxBody is the longest body that Twilio takes, as BodyLength counts it.
const MaxBody = 1600

// Size is what a body costs.
type Size struct {
	Encoding Encoding
	// Units is the length: septets in GSM-7, where characters such as "€" and
	// "{" take two, and UTF-16 code units in UCS-2, where an emoji takes two or
	// more.
	Units int
	// Segments is the number of messages that the network carries and the
	// provider bills; 1 for the empty body.
	Segments int
	// ForcedBy are the distinct characters outside GSM-7, in order of
	// appearance; empty when the encoding is GSM-7.
	ForcedBy []rune
}

// Measure tells how a body is encoded and billed, as Twilio's segment
// calculator counts: an escape and its character, a surrogate pair, and what a
// person takes for one character are never split across segments, so there can
// be more of those than the length alone asks for. Smart Encoding is not taken
// into account; measure SmartEncode(body) for that. A byte that is not UTF-8
// counts as U+FFFD.
func Measure(body string) Size {
	if s, ok := measureGSM(body); ok {
		return s
	}
	return measureUCS(body)
}

// BodyLength counts the UTF-16 code units of body, Twilio's "characters":
// its documentation has an emoji count as several.
func BodyLength(body string) int {
	n := 0
	for _, r := range body {
		n += units(r)
	}
	return n
}

func units(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// measureGSM is false when the body holds a character outside GSM-7.
func measureGSM(body string) (Size, bool) {
	f := filler{room: gsmJoined}
	for _, r := range body {
		n := septets(r)
		if n == 0 {
			return Size{}, false
		}
		f.add(n) // an escape and its character stay together
	}
	return Size{Encoding: EncodingGSM7, Units: f.total, Segments: f.segments(gsmAlone)}, true
}

func measureUCS(body string) Size {
	s := Size{Encoding: EncodingUCS2, Units: BodyLength(body), Segments: 1}
	var forced runeSet
	for _, r := range body {
		if septets(r) == 0 {
			forced.add(r)
		}
	}
	s.ForcedBy = forced.list
	if s.Units <= ucsAlone {
		return s
	}
	f := filler{room: ucsJoined}
	for i := 0; i < len(body); {
		end := i + clusterLen(body[i:])
		f.addCluster(body[i:end])
		i = end
	}
	s.Segments = f.segments(ucsAlone)
	return s
}

// filler fills segments one after the other with things that stay whole.
type filler struct {
	room  int // of one segment
	total int
	full  int // segments closed
	used  int // of the open segment
}

func (f *filler) add(n int) {
	f.total += n
	if f.used+n > f.room {
		f.full++
		f.used = 0
	}
	f.used += n
}

// addCluster adds a cluster of UTF-16 units: whole, unless no segment can hold
// it.
func (f *filler) addCluster(cluster string) {
	if n := BodyLength(cluster); n <= f.room {
		f.add(n)
		return
	}
	for _, r := range cluster {
		f.add(units(r))
	}
}

// segments is the count when a text of up to alone units needs no header.
func (f *filler) segments(alone int) int {
	if f.total <= alone {
		return 1
	}
	return f.full + 1
}

// runeSet keeps distinct characters in the order in which they came.
type runeSet struct {
	list []rune
	seen map[rune]struct{} // of list, once that is long
}

func (s *runeSet) add(r rune) {
	const long = 64
	if s.seen == nil {
		if slices.Contains(s.list, r) {
			return
		}
		if len(s.list) == long {
			s.seen = make(map[rune]struct{}, 2*long)
			for _, old := range s.list {
				s.seen[old] = struct{}{}
			}
		}
	} else if _, ok := s.seen[r]; ok {
		return
	}
	if s.seen != nil {
		s.seen[r] = struct{}{}
	}
	s.list = append(s.list, r)
}

// septets is the length of r in GSM-7; 0 when it is not in the alphabet (3GPP
// TS 23.038, 6.2.1, with the extension table 6.2.1.1).
func septets(r rune) int {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r >= '@' && r <= 'Z', r >= ' ' && r <= '?':
		return 1
	}
	switch r {
	case '\n', '\r', '_', '¡', '£', '¤', '¥', '§', '¿',
		'Ä', 'Å', 'Æ', 'Ç', 'É', 'Ñ', 'Ö', 'Ø', 'Ü', 'ß',
		'à', 'ä', 'å', 'æ', 'è', 'é', 'ì', 'ñ', 'ò', 'ö', 'ø', 'ù', 'ü',
		'Γ', 'Δ', 'Θ', 'Λ', 'Ξ', 'Π', 'Σ', 'Φ', 'Ψ', 'Ω':
		return 1
	case '\f', '[', '\\', ']', '^', '{', '|', '}', '~', '€':
		return 2
	}
	return 0
}
