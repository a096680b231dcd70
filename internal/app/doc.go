// Package app builds the program out of its parts and runs it. Only this
// package makes concrete connectors, stores and simulators; the command line
// above it holds flags, the packages below it know one another by interfaces.
//
//	connector check   ReadConnector              file -> Report
//	connector send    ReadConnector, Send        file -> one text -> Receipt
//	twilio-sim        Simulate                   a simulated Twilio until ctx ends
//	serve             NewService, Service.Run    config, connectors -> the service until ctx ends
//	migrate           Migrate                    config -> the store's tables, up to date
//	copy              Copy                       one store -> another, all of it or nothing
//	demo              Demo                       service and simulator, each told where the other is
//
// The service has two listeners: the API and the providers' callbacks on the
// public one, health and metrics on the private one. Beside them runs what is
// owed to texts (verify.Service.Run), which ends after the last request and
// before the store is closed.
package app
