use super::*;

fn config(pattern: &str) -> GeneratorConfig {
    GeneratorConfig { pattern: pattern.parse().unwrap(), ..GeneratorConfig::default() }
}

fn counts(trace: &Trace) -> Vec<usize> {
    let mut counts = vec![0; trace.functions().len()];
    trace.arrivals().iter().for_each(|arrival| counts[arrival.function() as usize] += 1);
    counts
}

#[test]
fn every_pattern_has_its_mean_rate_and_its_seed() {
    for pattern in Pattern::NAMES {
        // Whole periods, so that the mean is the mean.
        let length = Duration::from_secs(86_400);
        let config = GeneratorConfig { rate: 2.0, length, ..config(pattern) };
        let trace = config.generate(7).unwrap();
        let count = trace.arrivals().len() as f64;
        // Six deviations of a Poisson count, ten times as wide where they come by the hundred.
        assert!((count / 172_800.0 - 1.0).abs() < 0.05, "{pattern}: {count}");
        assert!(trace.span() < length);
        assert_eq!(trace, config.generate(7).unwrap());
        assert_ne!(trace, config.generate(8).unwrap());
        assert_eq!(config.pattern.to_string(), pattern);
    }
}

#[test]
fn popularity_is_zipfs() {
    let trace = GeneratorConfig { rate: 50.0, ..config("poisson") }.generate(1).unwrap();
    let counts = counts(&trace);
    let weight = |place: usize| (place as f64 + 1.0).powf(-1.5);
    let all: f64 = (0..100).map(weight).sum();
    for head in [1, 5, 20] {
        let expected: f64 = (0..head).map(weight).sum::<f64>() / all;
        let share = counts[..head].iter().sum::<usize>() as f64 / trace.arrivals().len() as f64;
        assert!((share - expected).abs() < 0.01, "{head}: {share} for {expected}");
    }
    // As the documentation of the field says.
    assert!((0.89..0.91).contains(&((0..20).map(weight).sum::<f64>() / all)));
    let alike = GeneratorConfig { rate: 50.0, popularity: 0.0, ..config("poisson") };
    let alike = self::counts(&alike.generate(1).unwrap());
    assert!(alike.iter().all(|count| (1_600..2_000).contains(count)), "{alike:?}");
}

#[test]
fn pauses_of_a_poisson_process_vary_as_much_as_they_are_long() {
    let trace = config("poisson").generate(5).unwrap();
    let at = |index: usize| trace.arrivals()[index].at.since_origin().as_secs_f64();
    let pauses: Vec<f64> = (1..trace.arrivals().len()).map(|i| at(i) - at(i - 1)).collect();
    let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
    let variance =
        pauses.iter().map(|pause| (pause - mean).powi(2)).sum::<f64>() / pauses.len() as f64;
    assert!((mean - 0.1).abs() < 0.002, "{mean}");
    assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "{}", variance.sqrt() / mean);
}

#[test]
fn a_day_is_low_at_its_start_and_high_in_its_middle() {
    let length = Duration::from_secs(86_400);
    let trace = GeneratorConfig { length, ..config("diurnal") }.generate(2).unwrap();
    let mut hours = [0_usize; 24];
    for arrival in trace.arrivals() {
        hours[(arrival.at.since_origin().as_secs() / 3_600) as usize] += 1;
    }
    for (hour, &count) in hours.iter().enumerate() {
        let middle = (hour as f64 + 0.5) / 24.0;
        let expected = 36_000.0 * (1.0 - 0.5 * (std::f64::consts::TAU * middle).cos());
        assert!((count as f64 / expected - 1.0).abs() < 0.04, "hour {hour}: {count}");
    }
}

#[test]
fn bursts_are_of_one_function_within_their_length() {
    let pattern = Pattern::Bursts { share: 1.0, size: 50, length: Duration::from_millis(200) };
    let length = Duration::from_secs(86_400);
    let trace = GeneratorConfig { pattern, rate: 0.1, length, ..config("bursts") };
    let trace = trace.generate(9).unwrap();
    // One burst in 500 s: hardly ever two at once.
    let mut sizes = Vec::new();
    let mut last = None;
    for arrival in trace.arrivals() {
        let at = arrival.at.since_origin();
        match last {
            Some((function, begun)) if at - begun <= Duration::from_millis(200) => {
                *sizes.last_mut().unwrap() += 1;
                assert_eq!(arrival.function(), function);
            }
            _ => {
                sizes.push(1);
                last = Some((arrival.function(), at));
            }
        }
    }
    assert!(sizes.iter().filter(|&&size| size == 50).count() > sizes.len() * 9 / 10, "{sizes:?}");
}

#[test]
fn sizes_and_times_have_their_medians_and_bounds() {
    let config = GeneratorConfig {
        functions: 4_001,
        accounts: 3,
        popularity: 0.0,
        duration_sigma_within: 0.0,
        ..config("poisson")
    };
    let trace = config.generate(6).unwrap();
    let mut memory: Vec<u32> = trace.functions().iter().map(|f| f.memory_mb).collect();
    memory.sort_unstable();
    assert_eq!(memory[2_000], 192);
    // 400 MB lie between two classes.
    assert!(matches!(memory[3_600], 384 | 448), "{}", memory[3_600]);
    assert_eq!(trace.functions()[5].account, 2);
    let mut durations: Vec<u64> = trace.arrivals().iter().map(|a| a.duration_ns()).collect();
    durations.sort_unstable();
    let median = durations[durations.len() / 2] as f64 / 1e9;
    assert!((0.55..0.85).contains(&median), "{median}");
    assert_eq!(*durations.last().unwrap(), 600_000_000_000);
}

#[test]
fn what_has_no_meaning_is_refused() {
    let check = |change: fn(&mut GeneratorConfig), expected: &str| {
        let mut config = config("poisson");
        change(&mut config);
        let refused = config.generate(1).unwrap_err();
        assert!(refused.message().starts_with(expected), "{refused}");
    };
    check(|c| c.functions = 0, "functions: 0 is outside 1 to 1000000");
    check(|c| c.functions = 1_000_001, "functions: 1000001 is outside");
    check(|c| c.accounts = 101, "accounts: 101 is outside 1 to 100");
    check(|c| c.rate = 0.0, "rate: 0 is outside");
    check(|c| c.rate = f64::NAN, "rate: NaN is outside");
    check(|c| c.rate = 1e6, "rate * length: 3600000000 is outside 0 to 500000000");
    check(|c| c.length = Duration::ZERO, "length: 0 is outside");
    check(|c| c.popularity = -1.0, "popularity: -1 is outside 0 to 10");
    check(|c| c.duration_max = Duration::from_secs(300_000), "duration_max: 300000 is outside");
    check(|c| c.memory_median_mb = 1e5, "memory_median_mb: 100000 is outside 0 to 32768");
    check(
        |c| c.pattern = Pattern::Diurnal { period: Duration::from_secs(1), swing: 1.1 },
        "swing: 1.1 is outside 0 to 1",
    );
    check(
        |c| {
            let length = Duration::ZERO;
            c.pattern = Pattern::Bursts { share: 0.5, size: 0, length };
        },
        "size: 0 is outside 1 to 1000000",
    );
    let refused = "weekly".parse::<Pattern>().unwrap_err();
    assert_eq!(refused.message(), "pattern: \"weekly\" is none of poisson, diurnal, bursts");
}
