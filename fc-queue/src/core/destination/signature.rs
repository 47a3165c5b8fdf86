//! How an HTTP endpoint knows that a result is the platform's (standard-webhooks 1.0).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fc_core::{AccountId, Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret's text form begins with.
const PREFIX: &str = "whsec_";
const SECRET_BYTES_MIN: usize = 24;
const SECRET_BYTES_MAX: usize = 64;
/// Masters that may sign at once.
const MASTERS_MAX: usize = 4;

/// A secret of 24 to 64 bytes that signs. It is shown by [`SigningSecret::reveal`] alone.
#[derive(Clone)]
pub struct SigningSecret(Box<[u8]>);

impl SigningSecret {
    /// Proves `bytes`: 24 to 64 of them.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the limit and the number.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        match bytes.len() {
            SECRET_BYTES_MIN..=SECRET_BYTES_MAX => Ok(Self(bytes.into())),
            len if len > SECRET_BYTES_MAX => {
                let limit = SECRET_BYTES_MAX as u64;
                Err(Error::over_limit("signing secret", "bytes", limit, len as u64))
            }
            len => Err(Error::invalid(
                "signing secret",
                format_args!("{len} bytes is under the least, {SECRET_BYTES_MIN}"),
            )),
        }
    }

    /// The text form, `whsec_` and base64: for the one who is to check signatures.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// `v1,` and the base64 of HMAC-SHA256 over id, time in Unix seconds and body, with dots between.
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let time = seconds.to_string();
        let parts = [id.as_bytes(), b".", time.as_bytes(), b".", body];
        format!("v1,{}", STANDARD.encode(self.mac(&parts)))
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length: a key cannot be refused.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl FromStr for SigningSecret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let decoded = text.strip_prefix(PREFIX).map(|base64| STANDARD.decode(base64));
        match decoded {
            Some(Ok(bytes)) => Self::new(&bytes),
            _ => Err(Error::invalid("signing secret", "must be 'whsec_' and base64")),
        }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The secrets of all accounts, derived from the platform's own: an account that knows its secret can
/// sign nothing for another.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    masters: Vec<SigningSecret>,
}

impl SigningKeys {
    /// Signs with `current`, and with the `retired` as well, up to three, while receivers change
    /// theirs.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for too many.
    pub fn new(current: SigningSecret, retired: Vec<SigningSecret>) -> Result<Self> {
        let mut masters = vec![current];
        masters.extend(retired);
        if masters.len() > MASTERS_MAX {
            let (limit, value) = (MASTERS_MAX as u64, masters.len() as u64);
            return Err(Error::over_limit("signing secrets", "secrets", limit, value));
        }
        Ok(Self { masters })
    }

    /// The secrets by which an account checks what it gets, the current one first.
    pub fn secrets(&self, account: AccountId) -> impl Iterator<Item = SigningSecret> {
        let parts =
            |account: &AccountId| [b"fc destination 1 ", account.as_str().as_bytes()].concat();
        let context = parts(&account);
        self.masters.iter().map(move |master| SigningSecret(master.mac(&[&context]).into()))
    }

    /// The value of `webhook-signature`: one signature for each secret, with spaces between.
    pub fn sign(&self, account: AccountId, id: &str, seconds: u64, body: &[u8]) -> String {
        let signatures = self.secrets(account).map(|secret| secret.sign(id, seconds, body));
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of standard-webhooks' own libraries.
    #[test]
    fn the_specification_s_vector_is_signed() {
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let body = b"{\"test\": 2432232314}";
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(secret.reveal(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn t29_a_secret_is_never_shown() {
        let secret = SigningSecret::new(&[b'x'; 24]).unwrap();
        let keys = SigningKeys::new(secret, Vec::new()).unwrap();
        let shown = format!("{keys:?}");
        assert!(!shown.contains('x') && !shown.contains("120"), "{shown}");
        let refused = "whsec_secret!".parse::<SigningSecret>().unwrap_err();
        assert!(!format!("{refused:?}").contains("secret!"));
    }

    #[test]
    fn a_secret_has_a_least_and_a_most_length() {
        for (len, is_taken) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(SigningSecret::new(&vec![7; len]).is_ok(), is_taken, "{len}");
        }
        assert!("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse::<SigningSecret>().is_err());
    }

    #[test]
    fn t37_each_account_has_its_own_secrets_and_retired_ones_sign_too() {
        let master = |byte| SigningSecret::new(&[byte; 32]).unwrap();
        let keys = SigningKeys::new(master(1), vec![master(2)]).unwrap();
        let account = |text| AccountId::new(text).unwrap();
        let [one, other] = ["1", "2"].map(|text| keys.secrets(account(text)).collect::<Vec<_>>());
        assert_eq!((one.len(), other.len()), (2, 2));
        let shown = |secret: &SigningSecret| secret.reveal();
        assert!(one.iter().all(|secret| !other.iter().map(shown).any(|it| it == shown(secret))));
        let signature = keys.sign(account("1"), "id", 5, b"x");
        assert_eq!(
            signature,
            format!("{} {}", one[0].sign("id", 5, b"x"), one[1].sign("id", 5, b"x"))
        );
        assert!(SigningKeys::new(master(1), vec![master(2); 4]).is_err());
    }
}
