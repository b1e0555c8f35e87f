//! Reading a file whose absence an operator must be able to mend.

use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be read, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {cause}{}", path.display(), remedy(cause))]
pub struct UnreadableFile {
    /// The file as it was named.
    pub path: PathBuf,
    /// What the operating system said; already part of the message.
    pub cause: io::Error,
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, UnreadableFile> {
    std::fs::read(path).map_err(|cause| UnreadableFile {
        path: path.to_path_buf(),
        cause,
    })
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => "; run `cargo run -p pki -- init` to make demo certificates",
        io::ErrorKind::PermissionDenied => "; give this process's user the right to read it",
        _ => "",
    }
}
