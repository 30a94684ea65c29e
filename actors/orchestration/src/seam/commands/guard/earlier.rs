//! Waits for what the guards of earlier processes watch.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::lock::{self, Entry, Lock};
use super::{GuardError, Remains};
use crate::seam::commands::os::groups::living;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until no guard has its lock in this folder, and no process lives of a guard that was killed. It blocks its
/// thread.
pub(super) fn wait(folder: &Path, limit: Duration) -> Result<(), GuardError> {
    let looks = limit.as_millis() / LOOK.as_millis();
    for look in 0.. {
        let remains =
            remains(folder).map_err(|source| GuardError::Folder { folder: folder.display().to_string(), source })?;
        match remains {
            None => return Ok(()),
            Some(what) if look >= looks => return Err(GuardError::StillLives { what, limit }),
            Some(_) => std::thread::sleep(LOOK),
        }
    }
    Ok(())
}

/// The first guard that is not done. Files of those that are done are removed.
fn remains(folder: &Path) -> io::Result<Option<Remains>> {
    for path in lock::files(folder)? {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            // Its guard has just ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let entry = Entry::read(&io::read_to_string(&file)?);
        let lock = Lock::of(file, path.clone())?;
        let guarded = lock.is_none();
        let living = living(&entry.groups);
        match lock {
            Some(lock) if living.is_empty() => {
                lock.remove()?;
                continue;
            }
            _ => {}
        }
        let processes = living.into_values().flatten().map(|process| (process.pid, process.name)).collect();
        return Ok(Some(Remains { file: path, guard: entry.guard, owner: entry.owner, guarded, processes }));
    }
    Ok(None)
}
