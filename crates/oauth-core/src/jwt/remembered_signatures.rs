//! Signatures of not long ago, for what is signed again: what to sign is put together each time, from the facts of that
//! moment, and only the signature over the same text is not made a second time.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::SigningError;

/// A bounded memory of signatures, each by the SHA-256 of what it is over: header, hence key and algorithm, and claims.
///
/// It holds no token, and answers nothing that has not been put together anew: a changed claim, a changed key is another
/// text. Of two texts that share a place the later one has it.
pub struct RememberedSignatures {
    places: Box<[Mutex<Option<Remembered>>]>,
}

struct Remembered {
    digest: [u8; 32],
    signature: Box<[u8]>,
}

impl RememberedSignatures {
    /// Remembers so many at most: some 140 bytes each where keys are elliptic curves'.
    pub fn at_most(places: usize) -> Self {
        Self {
            places: (0..places).map(|_| Mutex::default()).collect(),
        }
    }

    /// The signature over `input`: the remembered one, or a new one by `sign`.
    pub(super) fn get_or_sign(
        &self,
        input: &[u8],
        sign: impl FnOnce(&[u8]) -> Result<Box<[u8]>, SigningError>,
    ) -> Result<Box<[u8]>, SigningError> {
        let digest: [u8; 32] = Sha256::digest(input).into();
        let Some(place) = self.place(&digest) else {
            return sign(input);
        };
        let remembered = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remembered) = remembered
            .as_ref()
            .filter(|remembered| remembered.digest == digest)
        {
            return Ok(remembered.signature.clone());
        }
        drop(remembered);
        let signature = sign(input)?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Remembered {
            digest,
            signature: signature.clone(),
        });
        Ok(signature)
    }

    fn place(&self, digest: &[u8; 32]) -> Option<&Mutex<Option<Remembered>>> {
        let [a, b, c, d, ..] = *digest;
        let number = u32::from_le_bytes([a, b, c, d]) as usize;
        self.places.get(number.checked_rem(self.places.len())?)
    }
}

/// Says nothing of what is remembered.
impl fmt::Debug for RememberedSignatures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RememberedSignatures")
            .field("places", &self.places.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(signature: u8) -> impl FnOnce(&[u8]) -> Result<Box<[u8]>, SigningError> {
        move |_| Ok(Box::new([signature]))
    }

    #[test]
    fn signs_the_same_text_once_and_another_by_itself() {
        let signatures = RememberedSignatures::at_most(1 << 16);
        assert_eq!(*signatures.get_or_sign(b"header.claims", sign(1)).unwrap(), [1]);
        assert_eq!(*signatures.get_or_sign(b"header.claims", sign(2)).unwrap(), [1]);
        assert_eq!(*signatures.get_or_sign(b"header.other", sign(3)).unwrap(), [3]);
    }

    #[test]
    fn forgets_the_earlier_text_of_two_that_share_a_place() {
        let signatures = RememberedSignatures::at_most(1);
        assert_eq!(*signatures.get_or_sign(b"one", sign(1)).unwrap(), [1]);
        assert_eq!(*signatures.get_or_sign(b"two", sign(2)).unwrap(), [2]);
        assert_eq!(*signatures.get_or_sign(b"one", sign(3)).unwrap(), [3]);
    }

    #[test]
    fn signs_anew_each_time_without_a_place() {
        let signatures = RememberedSignatures::at_most(0);
        assert_eq!(*signatures.get_or_sign(b"one", sign(1)).unwrap(), [1]);
        assert_eq!(*signatures.get_or_sign(b"one", sign(2)).unwrap(), [2]);
    }

    #[test]
    fn remembers_no_failure() {
        let signatures = RememberedSignatures::at_most(1);
        let failed = signatures.get_or_sign(b"one", |_| Err(SigningError::Signing));
        assert_eq!(failed.unwrap_err(), SigningError::Signing);
        assert_eq!(*signatures.get_or_sign(b"one", sign(1)).unwrap(), [1]);
    }
}
