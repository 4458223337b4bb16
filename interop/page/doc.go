// Package page looks at the emulator's page as its users do, with headless Chromium, and takes pictures for the documents:
//
//	interop/page/run
//
// The command installs what is missing, as far as Debian's packages have it, and runs the tests of this module. With
// PAGE_SCREENSHOT=FILE it takes the picture for docs/emulator.md, too, and with CLI_SCREENSHOT=FILE that for docs/cli.md.
package page
