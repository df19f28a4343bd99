//! The message of the day: a file that newcomers are shown, read at the start and again when the operator asks.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// More of the file than this is not shown: every newcomer is sent all of it.
const BYTES_MAX: u64 = 4 * 1024;

/// Where the message is, if there is one.
#[derive(Debug)]
pub(super) struct MotdFile(pub(super) Option<PathBuf>);

impl MotdFile {
    /// The beginning of the file, or nothing where there is none.
    ///
    /// # Errors
    /// If the file cannot be read; the message names it.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        if let Some(path) = &self.0 {
            File::open(path)
                .and_then(|file| file.take(BYTES_MAX).read_to_end(&mut text))
                .map_err(|error| {
                    let path = path.display();
                    io::Error::new(
                        error.kind(),
                        format!("cannot read motd-file {path}: {error}"),
                    )
                })?;
        }
        Ok(text)
    }
}
