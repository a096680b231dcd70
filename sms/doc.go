// Package sms makes and measures the text of a message.
//
//	Catalog.Choose   which template: usage, then locale, then Generic
//	Render           puts the payload into the template's placeholders
//	SmartEncode      what a provider makes of curly quotes and their like
//	WithOrigin       adds the line that lets a browser fill in the code
//	WithAppHash      adds the line that lets an Android app read the code
//	Measure          encoding, units and segments, and what forces UCS-2
//
// The functions are pure and safe for concurrent use. They take any string:
// bytes that are not UTF-8 never cause a panic, and count as U+FFFD.
//
// Which texts are sent is decided elsewhere; nothing here logs or keeps them,
// and no error holds a body or a code.
package sms
