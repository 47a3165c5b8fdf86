//! Bits that flip, files that are cut off or missing: found, and never passed over (I34).

use std::path::{Path, PathBuf};

use fc_core::{Error, ErrorKind};

use super::super::recovery::recover;
use super::disk::Disk;
use super::model::{Model, tasks};
use super::{Random, open, open_with, run};

/// A disk with several segments and a history.
async fn written(seed: u64) -> (Disk, Model) {
    let (disk, mut random, mut model) = (Disk::default(), Random(seed), Model::default());
    for _life in 0..2 {
        let queue = open(&disk);
        for _ in 0..60 {
            model.step(&queue, &mut random).await;
        }
    }
    (disk, model)
}

/// What became of a damage.
#[derive(PartialEq, Debug)]
enum Found {
    Refused,
    Harmless,
}

async fn judge(disk: &Disk, model: &Model, what: &str) -> Found {
    match open_with(disk, &super::clock()) {
        Err(error) => {
            judge_error(&error, what);
            Found::Refused
        }
        Ok(queue) => {
            let found = tasks(&queue).await;
            for id in &model.present {
                assert!(found.contains_key(id), "{what}: {id} was dropped silently");
            }
            for id in &model.absent {
                assert!(!found.contains_key(id), "{what}: {id} came back");
            }
            Found::Harmless
        }
    }
}

/// The same without a queue around it, since that is quicker.
fn judge_log(disk: &Disk, model: &Model, what: &str) -> Found {
    match recover(disk, Path::new("/queue"), 0) {
        Err(error) => {
            judge_error(&error, what);
            Found::Refused
        }
        Ok(recovered) => {
            let book = recovered.state.book;
            for id in &model.present {
                assert!(book.contains("lane", id), "{what}: {id} was dropped silently");
            }
            for id in &model.absent {
                assert!(!book.contains("lane", id), "{what}: {id} came back");
            }
            Found::Harmless
        }
    }
}

fn judge_error(error: &Error, what: &str) {
    assert_eq!(error.kind(), ErrorKind::InternalServerError, "{what}: {error}");
    let text = error.to_string();
    assert!(text.contains("/queue/") && text.contains("offset"), "{what}: {text}");
}

#[test]
fn ten_thousand_damages_drop_nothing_silently() {
    run(async {
        let mut refused = 0;
        for seed in 0..20 {
            let (disk, model) = written(seed).await;
            let mut random = Random(seed + 1000);
            // The files that hold tasks; the counts of leases may be lost.
            let files = disk.files();
            let files: Vec<_> = files
                .into_iter()
                .filter(|(name, bytes)| !bytes.is_empty() && !name.ends_with("spare"))
                .filter(|(name, _)| name.extension().is_none_or(|it| it != "leases"))
                .collect();
            for round in 0..500 {
                let (name, bytes) = &files[random.below(files.len() as u64) as usize];
                let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64 + 1;
                let mut damaged = bytes.clone();
                let at = random.below(used);
                if random.below(4) == 0 {
                    damaged.truncate(at as usize);
                } else {
                    damaged[at as usize] ^= 1 << random.below(8);
                }
                let copy = disk.copy();
                copy.put(name, Some(damaged));
                let what = format!("seed {seed}, round {round}, {} at {at}", name.display());
                refused += u32::from(judge_log(&copy, &model, &what) == Found::Refused);
            }
        }
        // The others met the padding of headers, the older mark, or what was over anyway.
        assert!(refused > 5_000, "only {refused} of 10000 damages were found");
    });
}

#[test]
fn each_byte_of_the_last_frame_is_watched() {
    run(async {
        let disk = Disk::default();
        let mut model = Model::default();
        let mut random = Random(3);
        {
            let queue = open(&disk);
            for _ in 0..30 {
                model.step(&queue, &mut random).await;
            }
        }
        let (name, bytes) = disk.files().into_iter().find(|(name, _)| is_segment(name)).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for at in used - 300..used {
            let copy = disk.copy();
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            copy.put(&name, Some(damaged));
            let found = judge(&copy, &model, &format!("byte {at}")).await;
            assert_eq!(found, Found::Refused, "byte {at} of {used}");
        }
    });
}

fn is_segment(name: &std::path::Path) -> bool {
    name.extension().is_some_and(|extension| extension == "log")
}

#[test]
fn a_missing_file_is_missed() {
    run(async {
        let (disk, model) = written(7).await;
        let names: Vec<PathBuf> = disk.files().into_iter().map(|(name, _)| name).collect();
        let mut missed = 0;
        for name in names.iter().filter(|name| is_segment(name) || name.ends_with("synced")) {
            let copy = disk.copy();
            copy.put(name, None);
            let found = judge(&copy, &model, &format!("without {}", name.display())).await;
            assert_eq!(found, Found::Refused, "without {}", name.display());
            missed += 1;
        }
        assert!(missed > 2, "only {missed} files");
        for (name, _) in disk.files() {
            disk.put(&name, None);
        }
        assert!(tasks(&open(&disk)).await.is_empty(), "an empty directory is a new queue");
    });
}

#[test]
fn a_torn_last_frame_is_cut_if_nothing_says_that_it_was_synced() {
    run(async {
        let disk = Disk::default();
        let mut model = Model::default();
        let mut random = Random(9);
        let queue = open(&disk);
        for _ in 0..20 {
            model.step(&queue, &mut random).await;
        }
        let before = disk.files().into_iter().find(|(name, _)| name.ends_with("synced")).unwrap();
        let sure = model.clone();
        let (name, old) = disk.files().into_iter().find(|(name, _)| is_segment(name)).unwrap();
        use fc_core::port::queue::Queue;
        queue.push(super::CX, &super::lane(), super::model::task("push-1000")).await.unwrap();
        drop(queue);
        let (_, new) = disk.files().into_iter().find(|(name, _)| is_segment(name)).unwrap();
        let from = old.iter().zip(&new).position(|(a, b)| a != b).unwrap();
        let to = new.iter().rposition(|byte| *byte != 0).unwrap();
        // The machine stopped in the sync: what is marked is what was before, and a part is there.
        let tear = |hole: std::ops::Range<usize>| {
            let copy = disk.copy();
            copy.put(&before.0, Some(before.1.clone()));
            let mut torn = new.clone();
            torn[hole].fill(0);
            copy.put(&name, Some(torn));
            copy
        };
        for hole in [from..from + 16, from + 40..to, from..to, to..to + 1] {
            let queue = open(&tear(hole.clone()));
            sure.judge(&queue).await;
            assert!(!tasks(&queue).await.contains_key("push-1000"), "{hole:?} was torn");
        }
        // The same damage where the mark says that it was synced, or a frame follows, is corruption.
        let copy = tear(from..from + 16);
        let marks = disk.files().into_iter().find(|(name, _)| name.ends_with("synced")).unwrap();
        copy.put(&marks.0, Some(marks.1));
        assert_eq!(judge(&copy, &sure, "marked").await, Found::Refused);
        let copy = tear(from - 24..from - 8);
        assert_eq!(judge(&copy, &sure, "followed").await, Found::Refused);
    });
}

#[test]
fn what_passes_for_a_frame_in_a_payload_is_none() {
    use fc_core::port::queue::{NewTask, Queue};
    run(async {
        // Frames of one queue as the payload of another, whose last frame is torn.
        let (disk, _) = written(11).await;
        let (_, frames) = disk.files().into_iter().find(|(name, _)| is_segment(name)).unwrap();
        let disk = Disk::default();
        let queue = open(&disk);
        let marks = disk.files().into_iter().find(|(name, _)| name.ends_with("synced")).unwrap();
        let payload = frames[4096..20_000].to_vec();
        queue.push(super::CX, &super::lane(), NewTask::new("a", payload)).await.unwrap();
        drop(queue);
        let (name, mut bytes) =
            disk.files().into_iter().find(|(name, _)| is_segment(name)).unwrap();
        bytes[4096 + 40] ^= 1;
        disk.put(&name, Some(bytes));
        disk.put(&marks.0, Some(marks.1));
        assert!(tasks(&open(&disk)).await.is_empty());
    });
}
