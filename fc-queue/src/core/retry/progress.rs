//! What is known of a task between its attempts.

use fc_core::{Error, Result, Timestamp};

use super::{Class, Outcome};

const FORMAT: u8 = 1;

/// What is known of a task between its attempts: its age's base, and what has gone wrong so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Progress {
    accepted: Timestamp,
    attempts: u32,
    function_errors: u32,
    throttles: u32,
    system_errors: u32,
}

impl Progress {
    /// Bytes of the stored form.
    pub const BYTES: usize = 1 + 8 + 4 * 4;

    /// A task that was accepted at this time, and not tried yet. A task that is driven again after it
    /// was over begins anew.
    pub const fn new(accepted: Timestamp) -> Self {
        Self { accepted, attempts: 0, function_errors: 0, throttles: 0, system_errors: 0 }
    }

    /// When the task was accepted: from here its age counts, a deferral included.
    pub const fn accepted(&self) -> Timestamp {
        self.accepted
    }

    /// Attempts of all outcomes: `approximateInvokeCount`, and the next one's `x-fc-retry-count`.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Failures of one class.
    pub const fn failures(&self, class: Class) -> u32 {
        match class {
            Class::FunctionError => self.function_errors,
            Class::Throttled => self.throttles,
            Class::System => self.system_errors,
        }
    }

    /// The same after one more attempt.
    #[must_use]
    pub const fn after(mut self, outcome: Outcome) -> Self {
        self.attempts = self.attempts.saturating_add(1);
        match outcome.class() {
            Some(Class::FunctionError) => {
                self.function_errors = self.function_errors.saturating_add(1);
            }
            Some(Class::Throttled) => self.throttles = self.throttles.saturating_add(1),
            Some(Class::System) => self.system_errors = self.system_errors.saturating_add(1),
            None => {}
        }
        self
    }

    /// The stored form: a format number, then big-endian numbers.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = FORMAT;
        bytes[1..9].copy_from_slice(&self.accepted.as_unix_millis().to_be_bytes());
        let counts = [self.attempts, self.function_errors, self.throttles, self.system_errors];
        for (place, count) in bytes[9..].chunks_exact_mut(4).zip(counts) {
            place.copy_from_slice(&count.to_be_bytes());
        }
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// `InternalServerError` for another length or a format that this version does not know: what was
    /// stored is damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| {
            let (limit, value) = (Self::BYTES, bytes.len());
            Error::internal(format!("progress: {value} bytes are stored where {limit} belong"))
        })?;
        if bytes[0] != FORMAT {
            let format = bytes[0];
            let message = format!("progress: format {format} is stored, {FORMAT} is known");
            return Err(Error::internal(message));
        }
        let number = |from: usize, len: usize| {
            bytes[from..from + len].iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let count = |index: usize| number(9 + 4 * index, 4) as u32;
        Ok(Self {
            accepted: Timestamp::from_unix_millis(number(1, 8)),
            attempts: count(0),
            function_errors: count(1),
            throttles: count(2),
            system_errors: count(3),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fc_core::FailureType;

    fn some() -> Progress {
        let mut progress = Progress::new(Timestamp::from_unix_millis(0x0102_0304_0506_0708));
        for outcome in [
            Outcome::FunctionError(FailureType::Handled),
            Outcome::Throttled,
            Outcome::Throttled,
            Outcome::System,
            Outcome::System,
            Outcome::System,
        ] {
            progress = progress.after(outcome);
        }
        progress
    }

    #[test]
    fn what_was_stored_is_read_again() {
        assert_eq!(Progress::decode(&some().encode()).unwrap(), some());
        assert_eq!(some().attempts(), 6);
        assert_eq!(some().failures(Class::Throttled), 2);
    }

    /// Tasks of an older version wait in queues: the form cannot change without another format number.
    #[test]
    fn the_stored_form_stays() {
        let bytes = [1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        assert_eq!(some().encode(), bytes);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let mut bytes = some().encode().to_vec();
        bytes[0] = 2;
        assert!(Progress::decode(&bytes).unwrap_err().to_string().contains("format 2"));
        assert!(Progress::decode(&bytes[1..]).unwrap_err().to_string().contains("24 bytes"));
        assert!(Progress::decode(&[]).is_err());
    }
}
