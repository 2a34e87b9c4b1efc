// Package browsertest lets a test use pages as a person does, with a real browser, by keyboard and mouse. It needs a
// Chromium on the machine; a test without one is skipped.
package browsertest
