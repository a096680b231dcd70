// Package connectorjson reads the JSON that configures a connector: strictly,
// and with every fault at once.
//
//	Spec (a table of fields) ──> Read(file) ──> Values, faults with JSON Pointers
//	                        └──> Schema()   ──> JSON Schema, for editors
//	templates ──> Report, Warnings               what each text costs
//
// A connector describes its fields as a Spec and puts the Values into its
// Config. What concerns several fields at once it checks itself.
package connectorjson
