//! The message of the day: a file that newcomers are shown, read at the start and again when the operator asks.

use std::io;
use std::path::PathBuf;

use crate::file::read_regular;

/// The file may have 16 KiB: every newcomer is sent all of it.
const BYTES_MAX: u64 = 16 * 1024;

/// Where the message is, if there is one.
#[derive(Debug)]
pub(super) struct MotdFile(pub(super) Option<PathBuf>);

impl MotdFile {
    /// The file, whole, or nothing where there is none.
    ///
    /// # Errors
    /// If the file cannot be read, is not a regular one, or is longer than 16 KiB; the message names it.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let Some(path) = &self.0 else {
            return Ok(Vec::new());
        };
        read_regular(path, BYTES_MAX).map_err(|error| {
            let path = path.display();
            let what = format!("cannot read motd-file {path}: {error}");
            io::Error::new(error.kind(), what)
        })
    }
}
