// Package app builds the program out of its parts and runs it. Only this
// package makes concrete connectors and simulators; the command line above it
// holds flags, the packages below it know one another by interfaces.
//
//	connector check   ReadConnector              file -> Report
//	connector send    ReadConnector, Send        file -> one text -> Receipt
//	twilio-sim        Simulate                   a simulated Twilio until ctx ends
//	demo              Demo                       both, and a callback address between them
package app
