//! Lists.

use super::Subject;
use super::common::{clear, keys, names, put};
use crate::conformance::{Verdict, equal};

/// `list` is in the order of the keys' bytes, not of any language.
pub async fn list_is_in_byte_order(store: &Subject) -> Verdict {
    let prefix = "list_is_in_byte_order/";
    clear(store, prefix).await?;
    let order = ["A", "B", "a", "a!", "a-b", "a0", "b", "é"].map(|name| format!("{prefix}{name}"));
    for key in order.iter().rev() {
        put(store, key, "v").await?;
    }
    equal("the keys", keys(store, prefix, None, 100).await?, order.to_vec())
}

/// `list` gives what starts with the prefix, letter by letter: no pattern, no path.
pub async fn list_keeps_to_its_prefix(store: &Subject) -> Verdict {
    let base = "list_keeps_to_its_prefix/";
    clear(store, base).await?;
    for name in ["a%", "a_", "ab", "a_c", "b"] {
        put(store, &format!("{base}{name}"), "v").await?;
    }
    for (prefix, must) in [("a_", &["a_", "a_c"][..]), ("a%", &["a%"]), ("b", &["b"]), ("c", &[])] {
        let listed = keys(store, &format!("{base}{prefix}"), None, 100).await?;
        names(&format!("the keys under '{prefix}'"), &listed, base, must)?;
    }
    Ok(())
}

/// `list` goes on behind `after`, which need not exist.
pub async fn list_goes_on_behind_a_key(store: &Subject) -> Verdict {
    let base = "list_goes_on_behind_a_key/";
    clear(store, base).await?;
    for name in ["k1", "k2", "k4"] {
        put(store, &format!("{base}{name}"), "v").await?;
    }
    for (after, must) in
        [("k1", &["k2", "k4"][..]), ("k3", &["k4"]), ("k4", &[]), ("a", &["k1", "k2", "k4"])]
    {
        let after = format!("{base}{after}");
        let listed = keys(store, &format!("{base}k"), Some(&after), 100).await?;
        names(&format!("the keys behind '{after}'"), &listed, base, must)?;
    }
    Ok(())
}

/// `list` gives the first `max`, and none for 0.
pub async fn list_gives_no_more_than_asked(store: &Subject) -> Verdict {
    let base = "list_gives_no_more_than_asked/";
    clear(store, base).await?;
    for name in ["1", "2", "3"] {
        put(store, &format!("{base}{name}"), "v").await?;
    }
    for (max, must) in [(0, 0), (1, 1), (3, 3), (4, 3)] {
        let listed = keys(store, base, None, max).await?;
        equal(&format!("keys of at most {max}"), listed.len(), must)?;
    }
    Ok(())
}
