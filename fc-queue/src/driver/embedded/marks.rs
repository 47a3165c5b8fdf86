//! The file that says what is synced.

use std::path::Path;
use std::sync::Arc;

use fc_core::Result;

use super::fs::{File, Fs};
use super::log::watermark::{Found, Watermark};
use super::recovery::{corrupt, failed};

/// Its name.
pub(super) const NAME: &str = "synced";

/// The file of what is synced, and what it says.
/// Makes it, if it is missing and there is nothing to mark.
///
/// # Errors
///
/// As [`recovery::recover`](super::recovery::recover).
pub(super) fn open(
    fs: &dyn Fs,
    dir: &Path,
    is_there: bool,
    is_new: bool,
) -> Result<(Arc<dyn File>, Found)> {
    let path = dir.join(NAME);
    if is_there {
        let file = fs.open(&path).map_err(|e| failed("open", &path, &e))?;
        let mut bytes = Vec::new();
        let len = file.len().map_err(|e| failed("read", &path, &e))?.min(4096);
        bytes.resize(len as usize, 0);
        file.read_full_at(&mut bytes, 0).map_err(|e| failed("read", &path, &e))?;
        match Watermark::find(&bytes) {
            Ok(found) => {
                if found.is_worn {
                    let path = path.display();
                    tracing::warn!(%path, "one of two marks of what is synced is damaged");
                    // Before the other one is written again.
                    let (slot, at) = found.watermark.encode(found.turn);
                    let mended = file.write_all_at(&slot, at).and_then(|()| file.sync_data());
                    mended.map_err(|e| failed("mend", &dir.join(NAME), &e))?;
                }
                return Ok((file, found));
            }
            Err(what) if !is_new => return Err(corrupt(&path, 0, what)),
            // The process died while it made the file, before there was anything to mark.
            Err(_) => {}
        }
    } else if !is_new {
        return Err(corrupt(&path, 0, "the file is missing"));
    }
    let make = || {
        let file = fs.create(&path)?;
        file.write_all_at(&Watermark::default().file(), 0)?;
        file.sync_data()?;
        fs.sync_dir(dir)?;
        Ok(file)
    };
    let file = make().map_err(|e| failed("make", &path, &e))?;
    Ok((file, Found { watermark: Watermark::default(), is_worn: false, turn: 0 }))
}
