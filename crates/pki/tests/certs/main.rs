//! The `certs/` directory from outside: its files, the commands that make them, and the tools that read them.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail the test")]

mod command_line;
mod directory;
mod support;
mod tools;
