use std::fs;

use proptest::prelude::*;

use super::*;

const REQUESTS: &str = "day,time,0,1,7\n0,0,2,NaN,\n0,60,1.0,3,0\n0,120,,,1\n";
const DELAYS: &str = "day,time,0,1\n0,0,12.5,NaN\n0,60,20,1000\n0,120,,\n";
const MEMORY: &str = "day,time,0,1,7\n0,0,512,1000,\n0,60,1536,NaN,\n0,120,NaN,0,\n";
const INSTANCES: &str = "day,time,0,1\n0,0,2,NaN\n0,60,6,NaN\n0,120,,\n";

fn rows<'t>(text: &'t [u8], file: &str) -> Result<Rows<&'t [u8]>> {
    Rows::new(text, file.into())
}

fn parse(requests: &[u8], delays: &[u8], memory: &[u8], instances: &[u8]) -> Result<Reading> {
    let mut data = Huawei2023::new(&ReadOptions { seed: 1, invocations_max: 1_000 });
    data.memory.read(rows(memory, "memory.csv")?)?;
    data.instances.read(rows(instances, "instances.csv")?)?;
    let delays = Delays::read(rows(delays, "delays.csv")?)?;
    data.read_requests(rows(requests, "requests.csv")?, &delays)?;
    data.into_reading()
}

fn parse_texts(texts: [&str; 4]) -> Result<Reading> {
    let [requests, delays, memory, instances] = texts.map(str::as_bytes);
    parse(requests, delays, memory, instances)
}

#[test]
fn counts_become_invocations_of_the_mean_delay() {
    let Reading { trace, assumed } = parse_texts([REQUESTS, DELAYS, MEMORY, INSTANCES]).unwrap();
    let functions: Vec<(&str, u32, u32)> =
        trace.functions().iter().map(|f| (f.name.as_str(), f.account, f.memory_mb)).collect();
    // 0: 1024 MB on 4 instances; 1: 1000 MB on who knows how many; 7: nothing known.
    assert_eq!(functions, [("0", 0, 256), ("1", 1, 1024), ("7", 2, 192)]);
    let mut seen: Vec<(u64, u32, u128)> = trace
        .arrivals()
        .iter()
        .map(|a| (a.at.as_nanos() / 60_000_000_000, a.function(), a.duration().as_micros()))
        .collect();
    seen.sort_unstable();
    let expected = [
        (0, 0, 12_500),
        (0, 0, 12_500),
        (1, 0, 20_000),
        (1, 1, 1_000_000),
        (1, 1, 1_000_000),
        (1, 1, 1_000_000),
        (2, 2, 684_000),
    ];
    assert_eq!(seen, expected);
    let expected = [
        "1 of 7 invocations have no delay: 684 ms assumed",
        "1 of 3 functions have no memory: 192 MB assumed",
        "1 of 3 functions have no number of instances: their memory is taken as one instance's",
    ];
    assert_eq!(assumed, expected);
}

#[test]
fn bins_are_as_long_as_the_rows_say() {
    let seconds = "day,time,0\n3,100,1\n3,101,1\n3,104,1\n";
    let trace = parse_texts([seconds, DELAYS, MEMORY, INSTANCES]).unwrap().trace;
    let at: Vec<u64> = trace.arrivals().iter().map(|a| a.at.since_origin().as_secs()).collect();
    // From the first row on, a pause where rows are missing.
    assert_eq!(at, [0, 1, 4]);
}

#[test]
fn what_is_broken_is_named() {
    let check = |part: usize, from: &str, to: &str, expected: &str| {
        let mut texts = [REQUESTS, DELAYS, MEMORY, INSTANCES].map(String::from);
        assert!(texts[part].contains(from), "{from}");
        texts[part] = texts[part].replacen(from, to, 1);
        let refused = parse_texts(std::array::from_fn(|part| texts[part].as_str()));
        let refused = refused.expect_err(expected);
        assert!(refused.message().contains(expected), "{refused}");
    };
    check(0, "time", "seconds", "requests.csv has no column \"time\"");
    check(0, "0,1,7", "0,1,1", "requests.csv has two columns \"1\"");
    check(0, "0,1,7", "0,1,", "the name of column 5 is empty");
    check(0, "0,0,2", "0,0,two", "0: \"two\" is no number (requests.csv, line 2)");
    check(0, "0,0,2", "0,0,inf", "0: \"inf\" is no number (requests.csv, line 2)");
    check(0, "0,0,2", "0,0,-2", "0: \"-2\" is negative (requests.csv, line 2)");
    check(0, "0,0,2", "0,0,2.5", "0: \"2.5\" is no whole number up to 4294967295");
    check(0, "0,0,2", "0,0,1e12", "0: \"1e12\" is no whole number");
    check(0, "0,0,2", "0,0,5000", "trace: 5000 invocations is over the limit of 1000");
    check(0, "0,60", "0,59", "time: \"59\" does not follow the row before it by whole bins");
    check(0, "0,60", "0,0", "time: \"0\" does not follow");
    check(0, "0,120", "0,150", "time: \"150\" does not follow");
    check(0, "0,120", "0,1", "time: \"1\" comes before the end of the bin before it");
    check(0, "0,120", "0,1e10", "time: \"1e10\" is over the limit of 1000000000 seconds");
    check(1, "12.5", "slow", "0: \"slow\" is no number (delays.csv, line 2)");
    check(1, "12.5", "3e8", "0: \"3e8\" is over the limit of 259200000 ms");
    check(2, "1000", "40000", "function 1, an instance's memory_mb: 40000 MB is over the limit");
    check(3, "0,0,2", "0,0,x", "0: \"x\" is no number (instances.csv, line 2)");
    check(3, ",0,1\n", ",0\n", "instances.csv, line 2: 4 columns, the header has 3");
}

#[test]
fn folders_and_single_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let second_day = REQUESTS.replace("0,0,", "1,86400,").replace("0,60,", "1,86460,");
    let second_day = second_day.replace("0,120,", "1,86520,");
    write("requests_minute/day_000.csv", REQUESTS);
    write("requests_minute/day_001.csv", &second_day);
    write("requests_minute/README.md", "");
    write("function_delay_minute/day_000.csv", DELAYS);
    write("memory_limit_minute/day_000.csv", MEMORY);
    write("instances_minute/day_000.csv", INSTANCES);
    let options = ReadOptions::default();
    let both = read(folder.path(), &options).unwrap();
    assert_eq!((both.trace.functions().len(), both.trace.arrivals().len()), (3, 14));
    assert_eq!(both.trace.functions()[0].memory_mb, 256);
    assert!(both.trace.span() > Duration::from_secs(86_400));
    assert_eq!(both.assumed[0], "8 of 14 invocations have no delay: 684 ms assumed");
    assert_eq!(both, read(folder.path(), &options).unwrap());

    // The public data set: requests and nothing else.
    let requests = folder.path().join("requests_minute");
    assert_eq!(read(&requests, &options).unwrap().trace.arrivals().len(), 14);
    let one = read(&requests.join("day_001.csv"), &options).unwrap();
    assert_eq!(one.trace.arrivals().len(), 7);
    assert!(one.trace.span() < Duration::from_secs(180));

    let empty = tempfile::tempdir().unwrap();
    let refused = read(empty.path(), &options).unwrap_err();
    assert!(refused.message().contains("no requests_minute, no requests_second"), "{refused}");
}

#[test]
fn a_day_that_goes_back_is_refused() {
    let mut data = Huawei2023::new(&ReadOptions::default());
    let none = Delays::default();
    data.read_requests(rows(REQUESTS.as_bytes(), "1.csv").unwrap(), &none).unwrap();
    let again = data.read_requests(rows(REQUESTS.as_bytes(), "2.csv").unwrap(), &none);
    let expected = "time: \"0\" comes before the end of the bin before it (2.csv, line 2)";
    assert_eq!(again.unwrap_err().message(), expected);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        part in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut texts = [REQUESTS, DELAYS, MEMORY, INSTANCES].map(|text| text.as_bytes().to_vec());
        for (place, byte) in changes {
            let place = place.index(texts[part].len());
            texts[part][place] = byte;
        }
        let [requests, delays, memory, instances] = texts;
        if let Ok(Reading { trace, .. }) = parse(&requests, &delays, &memory, &instances) {
            prop_assert!(trace.arrivals().len() <= 1_000);
        }
    }
}
