//! Folders whose names outlive a loss of power.
//!
//! A file that was synced is on the disk, and the way to it is not: the names of the folders above it are synced by
//! themselves, each with the folder that holds it.

use std::path::Path;

use crate::error::StoreError;

/// Makes a folder, with those above it, and brings the names of all that it made to the disk.
pub(crate) fn make(dir: &Path) -> Result<(), StoreError> {
    let missing: Vec<_> =
        dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.is_dir()).collect();
    if missing.is_empty() {
        // Whoever made it may have ended before its name was synced. Where that cannot be done it is not ours.
        let _ = sync(around(dir));
    }
    std::fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
    missing.into_iter().try_for_each(|made| sync(around(made)))
}

/// The folder that holds the name of this one.
fn around(dir: &Path) -> &Path {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync(dir: &Path) -> Result<(), StoreError> {
    std::fs::File::open(dir).and_then(|folder| folder.sync_all()).map_err(StoreError::io(dir))?;
    #[cfg(test)]
    tests::was_synced(dir);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use steadfast::seam::Level;

    use super::*;
    use crate::Store;

    /// The names that were brought to the disk, by all tests of this process.
    static SYNCED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub(crate) fn was_synced(dir: &Path) {
        SYNCED.lock().expect("nobody panics with it").extend(names(dir));
    }

    fn names(dir: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).expect("it is there");
        entries.map(|entry| entry.expect("it can be read").path()).collect()
    }

    /// All that is below a folder.
    fn below(dir: &Path) -> Vec<PathBuf> {
        let deeper = |path: PathBuf| if path.is_dir() { [below(&path), vec![path]].concat() } else { vec![path] };
        names(dir).into_iter().flat_map(deeper).collect()
    }

    #[tokio::test]
    async fn the_whole_way_to_what_a_store_keeps_is_brought_to_the_disk() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&folder.path().join("a/b/c"), Level::Durable, "a test").await.expect("it opens");
        let digest = store.artifacts().put(b"large".to_vec()).await.expect("it is kept");
        let kept = below(folder.path());
        assert!(kept.iter().any(|path| path.ends_with(&digest.as_str()[2..])), "{kept:?}");
        let synced = SYNCED.lock().expect("nobody panics with it");
        for path in kept {
            // SQLite looks after its own.
            let of_sqlite = path.to_string_lossy().contains("journal.db-");
            assert!(of_sqlite || synced.contains(&path), "{}", path.display());
        }
    }

    #[test]
    fn a_folder_is_made_with_those_above_it_and_where_it_cannot_be_made_that_is_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for path in ["a", "b/c/d", "b/c/d", "b/e/"] {
            make(&folder.path().join(path)).expect("it is made");
            assert!(folder.path().join(path).is_dir());
        }
        std::fs::write(folder.path().join("file"), b"").expect("it is written");
        for path in ["file", "file/a"] {
            let refused = make(&folder.path().join(path)).expect_err("there is a file");
            assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
        }
        assert_eq!(
            [around(Path::new("a")), around(Path::new("a/b")), around(Path::new("/"))],
            [".", "a", "."].map(Path::new)
        );
    }
}
