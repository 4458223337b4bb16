// Package page looks at the pages of the emulator and of producers as their users do, with headless
// Chromium, and takes pictures for the documents:
//
//	interop/page/run
//
// The command installs missing programs, as far as Debian has packages for them, and runs the tests
// of this module. They also need Node.js 20 with npm, which installs axe-core. With
// PAGE_SCREENSHOTS=FOLDER the tests take the pictures for docs/emulator.md, and with
// CLI_SCREENSHOT=FILE the picture for docs/cli.md. With PRODUCERS_SCREENSHOT=FILE and
// PRODUCERS_PAGE=URL it takes the picture for docs/operations.md, of examples/debugpage at URL.
package page
