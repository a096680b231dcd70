package main

import (
	"fmt"
	"sync/atomic"
)

// areas are area codes of North America: numbers in them are valid.
var areas = [...]int{212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231}

const (
	// exchanges of an area: 200 to 999 without 211, 311 and so on, which are
	// services.
	exchanges = 8 * 99
	// blocks of 10,000 numbers, as the limits count them: a number without its
	// last four digits.
	blocks = len(areas) * exchanges
	// blockSize is how many numbers a block has.
	blockSize = 10_000
)

// number is the i-th number: one of each block in turn, so that any two that
// follow one another are of different blocks.
func number(i int) string {
	block, line := i%blocks, i/blocks%blockSize
	area, exchange := areas[block%len(areas)], block/len(areas)
	last := exchange % 99
	if last >= 11 {
		last++
	}
	return fmt.Sprintf("+1%d%d%02d%04d", area, 2+exchange/99, last, line)
}

// numbers hands out the number of each start.
type numbers func() string

// freshNumbers never hands out one twice within a run, nor one of scattered.
func freshNumbers() numbers {
	var n atomic.Int64
	n.Store(int64(blocks))
	return func() string { return number(int(n.Add(1))) }
}

// scattered are 10,000 numbers over and over, each in a block of its own.
func scattered() numbers {
	var n atomic.Int64
	return func() string { return number(int(n.Add(1)) % blockSize) }
}

// crowded are the 10,000 numbers of one block over and over.
func crowded() numbers {
	var n atomic.Int64
	return func() string { return fmt.Sprintf("+1646250%04d", n.Add(1)%blockSize) }
}
