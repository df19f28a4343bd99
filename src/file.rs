//! Files that the server is told to read, or to append to: regular ones, and no longer than they may be where they are
//! read whole.
//!
//! Whatever stands in the place of such a file, nothing here waits for it: a pipe has a reader from the moment on at
//! which it is opened, and a device is not read at all.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The content of a regular file of at most `bytes_max` bytes.
///
/// # Errors
/// If the file cannot be opened or read, is not regular, or is longer. The message does not name it.
pub(crate) fn read_regular(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path, OpenOptions::new().read(true))?;
    // One byte more than may be tells a file that is too long from one that just fits.
    let mut content = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max {
        let longer = format!("longer than {}", Kibibytes(bytes_max));
        return Err(io::Error::other(longer));
    }
    Ok(content)
}

/// What a file says beside what is known of it.
pub(crate) enum Seen {
    /// There is none.
    Absent,
    /// What is known.
    Known,
    Other(Vec<u8>),
}

/// Reads a file again of which this much is known. Where it is as it was, nobody needs to understand it again.
///
/// # Errors
/// As [`read_regular`], but for a file that is not there.
pub(crate) fn read_again(path: &Path, bytes_max: u64, known: &[u8]) -> io::Result<Seen> {
    match read_regular(path, bytes_max) {
        Ok(bytes) if bytes == known => Ok(Seen::Known),
        Ok(bytes) => Ok(Seen::Other(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Seen::Absent),
        Err(error) => Err(error),
    }
}

/// Lines with their numbers, which are counted from 1.
pub(crate) type Numbered<'a> = Vec<(usize, &'a [u8])>;

/// The lines that were taken out of a text, and those that were put in. A line that only moved is neither.
pub(crate) fn changed_lines<'a>(before: &'a [u8], after: &'a [u8]) -> (Numbered<'a>, Numbered<'a>) {
    let numbered = |text: &'a [u8]| (1..).zip(text.split(|byte| *byte == b'\n'));
    let mut unmatched: HashMap<&[u8], usize> = HashMap::new();
    for (_, line) in numbered(before) {
        *unmatched.entry(line).or_default() += 1;
    }
    let mut take = |line: &[u8]| match unmatched.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    let new = numbered(after).filter(|(_, line)| !take(line)).collect();
    let gone = numbered(before).filter(|(_, line)| take(line)).collect();
    (gone, new)
}

/// A regular file to be appended to, and read. Where there is none it is made, for its owner alone, if `make` says so.
///
/// # Errors
/// If the file cannot be opened or made, or is not regular. The message does not name it.
pub(crate) fn open_to_append(path: &Path, make: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(make).mode(0o600);
    open_regular(path, &mut options)
}

fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // A pipe would be waited for, and a terminal could become the one that a signal comes from.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = options
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// A size as settings are written.
struct Kibibytes(u64);

impl fmt::Display for Kibibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1024 {
            kib if kib.is_multiple_of(1024) => write!(f, "{}m", kib / 1024),
            kib => write!(f, "{kib}k"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::process;

    use rustix::fs::{mkfifoat, Mode, CWD};

    use super::*;

    /// A folder that is there for one test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(purpose: &str) -> Self {
            let name = format!("chatd-file-{}-{purpose}", process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn complaint(path: &Path) -> String {
        read_regular(path, 2048).unwrap_err().to_string()
    }

    #[test]
    fn f132_only_a_regular_file_is_read_and_nothing_else_is_waited_for() {
        let scratch = Scratch::new("kinds");
        let pipe = scratch.0.join("pipe");
        mkfifoat(CWD, &pipe, Mode::RWXU).unwrap();
        assert_eq!(complaint(&pipe), "not a regular file");
        assert_eq!(complaint(Path::new("/dev/zero")), "not a regular file");
        assert_eq!(complaint(&scratch.0), "not a regular file");
        let socket = scratch.0.join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(read_regular(&socket, 2048).is_err());
        assert!(read_regular(&scratch.0.join("absent"), 2048).is_err());
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let scratch = Scratch::new("length");
        let path = scratch.0.join("file");
        for length in [0, 1, 2048] {
            fs::write(&path, vec![b'x'; length]).unwrap();
            assert_eq!(read_regular(&path, 2048).unwrap(), vec![b'x'; length]);
        }
        fs::write(&path, vec![b'x'; 2049]).unwrap();
        assert_eq!(complaint(&path), "longer than 2k");
        assert_eq!(Kibibytes(1024 * 1024).to_string(), "1m");
    }

    #[test]
    fn a_line_that_only_moved_has_not_changed() {
        let (gone, new) = changed_lines(b"a\nb\nb\nc\n", b"c\nb\nd\na\nd\n");
        assert_eq!(gone, [(2, &b"b"[..])]);
        assert_eq!(new, [(3, &b"d"[..]), (5, b"d")]);
        let text = b"a\n\nb";
        assert_eq!(changed_lines(text, text), (vec![], vec![]));
        let (gone, new) = changed_lines(b"", b"a");
        assert_eq!((gone, new), (vec![(1, &b""[..])], vec![(1, &b"a"[..])]));
    }
}
