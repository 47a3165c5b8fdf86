use fc_core::Instant;
use proptest::prelude::*;

use super::*;

const INVOCATIONS: &str = "HashOwner,HashApp,HashFunction,Trigger,1,2,4\n\
                           o1,a1,f1,http,3,0,1\n\
                           o1,a1,f2,,0,2,0\n\
                           o2,a2,f1,timer,0,0,5\n";
const DURATIONS: &str = "HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,\
    percentile_Average_0,percentile_Average_1,percentile_Average_25,percentile_Average_50,\
    percentile_Average_75,percentile_Average_99,percentile_Average_100\n\
    o1,a1,f1,19,4,7.0,421.0,8,8,9,10,11,148,406\n\
    o1,a1,f2,5,4,5,5,5,5,5,5,5,5,5\n\
    o9,a9,f9,5,4,5,5,5,5,5,5,5,5,5\n";
const MEMORY: &str = "HashOwner,HashApp,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct100\n\
                      o1,a1,900,188,214.2\n";

fn parse(invocations: &[u8], durations: &[u8], memory: &[u8], seed: u64) -> Result<Reading> {
    let mut data = Azure2019::default();
    data.read_invocations(Rows::new(invocations, "invocations.csv".into())?, 0)?;
    data.read_durations(Rows::new(durations, "durations.csv".into())?)?;
    data.read_memory(Rows::new(memory, "memory.csv".into())?)?;
    data.into_reading(&ReadOptions { seed, invocations_max: 1_000 })
}

fn sound(seed: u64) -> Reading {
    parse(INVOCATIONS.as_bytes(), DURATIONS.as_bytes(), MEMORY.as_bytes(), seed).unwrap()
}

#[test]
fn counts_become_invocations_somewhere_in_their_minute() {
    let Reading { trace, assumed } = sound(1);
    let functions = trace.functions();
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["o1/a1/f1", "o1/a1/f2", "o2/a2/f1"]);
    assert_eq!(functions.iter().map(|f| f.account).collect::<Vec<_>>(), [0, 0, 1]);
    // 214.2 MB are rounded up to a class; the app without memory has the assumed one.
    assert_eq!(functions.iter().map(|f| f.memory_mb).collect::<Vec<_>>(), [256, 256, 192]);

    let mut counts = std::collections::BTreeMap::new();
    for arrival in trace.arrivals() {
        let minute = arrival.at.as_nanos() / MINUTE.as_nanos() as u64;
        *counts.entry((minute, arrival.function())).or_insert(0) += 1;
        let ms = arrival.duration().as_secs_f64() * 1e3;
        match arrival.function() {
            0 => assert!((8.0..=406.0).contains(&ms), "{ms}"),
            1 => assert_eq!(ms, 5.0),
            _ => assert_eq!(arrival.duration(), ASSUMED_DURATION),
        }
    }
    let expected = [((0, 0), 3), ((1, 1), 2), ((3, 0), 1), ((3, 2), 5)];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
    let expected = [
        "1 of 3 functions have no durations: 684 ms assumed",
        "1 of 3 functions have no memory: 192 MB assumed",
    ];
    assert_eq!(assumed, expected);
}

#[test]
fn a_seed_gives_the_same_trace_and_another_seed_another() {
    assert_eq!(sound(4), sound(4));
    assert_ne!(sound(4), sound(5));
}

#[test]
fn days_follow_each_other_and_a_function_keeps_its_number() {
    let mut data = Azure2019::default();
    for day in [0, 2] {
        data.read_invocations(Rows::new(INVOCATIONS.as_bytes(), "i".into()).unwrap(), day).unwrap();
    }
    let trace = data.into_reading(&ReadOptions::default()).unwrap().trace;
    assert_eq!((trace.functions().len(), trace.arrivals().len()), (3, 22));
    let second = Instant::ORIGIN + 2 * MINUTES_A_DAY as u32 * MINUTE;
    assert!(trace.arrivals()[11].at >= second && trace.arrivals()[10].at < second);
}

#[test]
fn what_is_broken_is_named() {
    let check = |part: usize, from: &str, to: &str, expected: &str| {
        let mut texts = [INVOCATIONS, DURATIONS, MEMORY].map(String::from);
        assert!(texts[part].contains(from), "{from}");
        texts[part] = texts[part].replacen(from, to, 1);
        let [invocations, durations, memory] = texts;
        let refused = parse(invocations.as_bytes(), durations.as_bytes(), memory.as_bytes(), 1)
            .expect_err(expected);
        assert!(refused.message().contains(expected), "{refused}");
    };
    check(0, "HashApp", "App", "invocations.csv has no column \"HashApp\"");
    check(0, "http,3", "http,three", "1: \"three\" is no number (invocations.csv, line 2)");
    check(0, "http,3", "http,-3", "1: \"-3\" is negative (invocations.csv, line 2)");
    check(0, "http,3", "http,9999999999", "over the limit of 4294967295 invocations");
    check(0, "http,3", "http,4000", "trace: 4008 invocations is over the limit of 1000");
    check(0, "o2,a2", "o2,", "HashApp: \"\" is no name (invocations.csv, line 4)");
    check(0, ",1,2,4", ",1,2,1441", "has a column \"1441\": 1 to 1440");
    check(0, ",1,2,4", ",1,2,2", "has a column \"2\": 1 to 1440, each once");
    check(0, ",1,2,4", ",x,y,z", "has no column of a minute");
    check(1, "8,8,9,10", "8,8,9,7", "\"7\" is less than the percentile before it (durations.csv");
    check(1, "148,406", "148,1e9", "percentile_Average_100: \"1e9\" is over the limit of 259200");
    check(
        2,
        "214.2",
        "nan",
        "AverageAllocatedMb_pct100: \"nan\" is no number (memory.csv, line 2)",
    );
    check(
        2,
        "214.2",
        "40000",
        "memory_mb: 40000 MB is over the limit of 32768 (memory.csv, line 2)",
    );
}

#[test]
fn a_folder_and_a_single_file_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("invocations.csv", INVOCATIONS), ("durations.csv", DURATIONS), ("memory.csv", MEMORY)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let options = ReadOptions { seed: 1, invocations_max: 1_000 };
    assert_eq!(read(folder.path(), &options).unwrap(), sound(1));
    let alone = read(&folder.path().join("invocations.csv"), &options).unwrap();
    assert_eq!(alone.assumed[0], "3 of 3 functions have no durations: 684 ms assumed");
    let missing = read(&folder.path().join("none.csv"), &options).unwrap_err();
    assert!(missing.message().contains("none.csv: No such file"), "{missing}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        part in 0_usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut texts = [INVOCATIONS, DURATIONS, MEMORY].map(|text| text.as_bytes().to_vec());
        for (place, byte) in changes {
            let place = place.index(texts[part].len());
            texts[part][place] = byte;
        }
        let [invocations, durations, memory] = texts;
        if let Ok(Reading { trace, .. }) = parse(&invocations, &durations, &memory, 1) {
            prop_assert!(trace.arrivals().len() <= 1_000);
        }
    }
}
