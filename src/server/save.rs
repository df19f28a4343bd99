//! A whole file written anew: a reader finds the old one or the new one, and never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is done to save a file, in this order. A test lets each of them fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// `FILE.new` is made beside it, for its owner alone.
    Create,
    Write,
    /// Its content is on the disk.
    Sync,
    /// It takes the place of the old one.
    Rename,
    /// That is on the disk, too.
    SyncFolder,
}

/// Puts `content` in the place of the file at `path`, which is followed where it is a link. `allows` is asked before
/// each step.
///
/// # Errors
/// If the file cannot be saved. Up to the renaming the old one is as it was and nothing is left beside it; behind that
/// the new one is there, and only whether a loss of power would take it back is not known.
pub(super) fn save(
    path: &Path,
    content: &[u8],
    mut allows: impl FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let new = beside(&path);
    let written = write_new(&new, content, &mut allows)
        .and_then(|()| allows(Step::Rename))
        .and_then(|()| fs::rename(&new, &path));
    if let Err(error) = written {
        // It may not even be there.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    allows(Step::SyncFolder)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn write_new(
    new: &Path,
    content: &[u8],
    allows: &mut impl FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    allows(Step::Create)?;
    // One that was left over, or a link that somebody put there, is not written to.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(new)?;
    allows(Step::Write)?;
    file.write_all(content)?;
    allows(Step::Sync)?;
    file.sync_all()
}

/// `FILE.new`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// What the system says, without its number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{symlink, PermissionsExt};

    use super::*;
    use crate::test_folder::Folder;

    const STEPS: [Step; 5] = [
        Step::Create,
        Step::Write,
        Step::Sync,
        Step::Rename,
        Step::SyncFolder,
    ];

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_for_its_owner_alone() {
        let folder = Folder::new("save");
        let path = folder.path().join("rules");
        let mut steps = Vec::new();
        let note = |step| {
            steps.push(step);
            Ok(())
        };
        save(&path, b"first", note).unwrap();
        assert_eq!(steps, STEPS);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(beside(&path), "left over").unwrap();
        save(&path, b"second", |_| Ok(())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(names(folder.path()), ["rules"]);
    }

    #[test]
    fn whatever_fails_the_old_file_or_the_new_one_is_there() {
        for failing in STEPS {
            let folder = Folder::new("save-fails");
            let path = folder.path().join("rules");
            fs::write(&path, "old").unwrap();
            let fail = |step| match step {
                step if step == failing => Err(io::Error::other("no")),
                _ => Ok(()),
            };
            assert!(save(&path, b"new", fail).is_err(), "{failing:?}");
            let expected = if failing == Step::SyncFolder {
                "new"
            } else {
                "old"
            };
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{failing:?}");
            assert_eq!(names(folder.path()), ["rules"], "{failing:?}");
        }
    }

    #[test]
    fn a_link_stays_one_and_none_is_written_through_beside_it() {
        let folder = Folder::new("save-link");
        let [real, link, victim] = ["real", "link", "victim"].map(|it| folder.path().join(it));
        fs::write(&real, "old").unwrap();
        fs::write(&victim, "theirs").unwrap();
        symlink(&real, &link).unwrap();
        symlink(&victim, beside(&real)).unwrap();
        save(&link, b"new", |_| Ok(())).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(fs::read(&victim).unwrap(), b"theirs");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = Folder::new("save-nowhere");
        let path = folder.path().join("absent/rules");
        let error = save(&path, b"new", |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
