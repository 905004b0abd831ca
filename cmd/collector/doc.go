// Command collector is the metrics server: "collector serve" starts it, "collector --help" shows the rest.
package main
