//! The PROXY protocol, version 2: how a proxy that passes TCP on tells where a connection comes from.
//!
//! A few bytes before everything else, read strictly and in one form alone. Whoever reads them must know, by other means,
//! that only the proxy could have written them.
//!
//! [The specification](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt), §2.2

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const SIGNATURE_OF_VERSION_1: &[u8] = b"PROXY ";
/// Version 2 in the upper half of the byte, the command in the lower.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// The family in the upper half of the byte, a stream in the lower.
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const PREFIX: usize = SIGNATURE.len() + 4;
const IPV4_ADDRESSES: usize = 2 * 4 + 2 * 2;
const IPV6_ADDRESSES: usize = 2 * 16 + 2 * 2;
/// Bounds what a proxy can make us read; addresses and what usually follows them have less than 500 bytes.
const MOST_AFTER_PREFIX: usize = 4 * 1024;

/// The two ends of a connection as the proxy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who connected.
    pub source: SocketAddr,
    /// To what.
    pub destination: SocketAddr,
}

impl Ends {
    /// The bytes that tell another server of them.
    pub fn header(&self) -> Vec<u8> {
        let (source, destination) = (
            self.source.ip().to_canonical(),
            self.destination.ip().to_canonical(),
        );
        let mut header = SIGNATURE.to_vec();
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                header.extend([PROXY, TCP_OVER_IPV4, 0, IPV4_ADDRESSES as u8]);
                header.extend(source.octets());
                header.extend(destination.octets());
            }
            (source, destination) => {
                header.extend([PROXY, TCP_OVER_IPV6, 0, IPV6_ADDRESSES as u8]);
                header.extend(as_ipv6(source).octets());
                header.extend(as_ipv6(destination).octets());
            }
        }
        header.extend(self.source.port().to_be_bytes());
        header.extend(self.destination.port().to_be_bytes());
        header
    }
}

/// Whether bytes of a peer that is not to send a header begin like one, of either version.
pub fn looks_like_a_header(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE) || bytes.starts_with(SIGNATURE_OF_VERSION_1)
}

/// Reads the header, and no byte behind it. `None` for a connection of the proxy's own, such as a health check.
///
/// # Errors
///
/// [`ProxyProtocolError`], whereupon the connection is to be closed: there is no telling where it comes from.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<Ends>, ProxyProtocolError> {
    let mut prefix = [0; PREFIX];
    stream.read_exact(&mut prefix).await?;
    let Some([version_and_command, protocol, length @ ..]) = prefix.strip_prefix(&SIGNATURE) else {
        return Err(match prefix.starts_with(SIGNATURE_OF_VERSION_1) {
            true => ProxyProtocolError::Version1,
            false => ProxyProtocolError::Absent,
        });
    };
    let length = length
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > MOST_AFTER_PREFIX {
        return Err(ProxyProtocolError::TooLong(length));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (*version_and_command, *protocol) {
        (LOCAL, _) => Ok(None),
        (PROXY, TCP_OVER_IPV4) => ends::<4, IPV4_ADDRESSES>(&rest).map(Some),
        (PROXY, TCP_OVER_IPV6) => ends::<16, IPV6_ADDRESSES>(&rest).map(Some),
        (PROXY, protocol) => Err(ProxyProtocolError::Protocol(protocol)),
        (other, _) => Err(ProxyProtocolError::Command(other)),
    }
}

/// What follows the addresses is passed over.
fn ends<const ADDRESS: usize, const LENGTH: usize>(rest: &[u8]) -> Result<Ends, ProxyProtocolError>
where
    IpAddr: From<[u8; ADDRESS]>,
{
    let addresses = rest.get(..LENGTH).ok_or(ProxyProtocolError::TooShort)?;
    let ip = |at: usize| -> Option<IpAddr> {
        let bytes = <[u8; ADDRESS]>::try_from(addresses.get(at..at + ADDRESS)?).ok()?;
        Some(IpAddr::from(bytes).to_canonical())
    };
    let port = |at: usize| Some(u16::from_be_bytes([*addresses.get(at)?, *addresses.get(at + 1)?]));
    let end = |address: usize, port_at: usize| Some(SocketAddr::new(ip(address)?, port(port_at)?));
    let both = end(0, 2 * ADDRESS).zip(end(ADDRESS, 2 * ADDRESS + 2));
    let (source, destination) = both.ok_or(ProxyProtocolError::TooShort)?;
    Ok(Ends { source, destination })
}

fn as_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::to_ipv6_mapped(&address),
        IpAddr::V6(address) => address,
    }
}

/// Why there is no header that could be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyProtocolError {
    /// The first bytes are something else.
    #[error("it does not begin with a PROXY header of version 2")]
    Absent,
    /// The textual form, which is not read.
    #[error("it begins with a PROXY header of version 1; let the proxy send version 2")]
    Version1,
    /// Neither version 2's `PROXY` nor its `LOCAL`.
    #[error("its PROXY header has an unknown version and command: {0:#04x}")]
    Command(u8),
    /// Neither TCP over IPv4 nor over IPv6.
    #[error("its PROXY header tells of something else than TCP: {0:#04x}")]
    Protocol(u8),
    /// Longer than any that is needed.
    #[error("its PROXY header claims {0} bytes; at most {MOST_AFTER_PREFIX} are read")]
    TooLong(usize),
    /// Shorter than its addresses.
    #[error("its PROXY header ends within the addresses")]
    TooShort,
    /// The connection ended first.
    #[error("it broke off within its PROXY header: {0}")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn ends_of(source: &str, destination: &str) -> Ends {
        Ends {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    fn header(version_and_command: u8, protocol: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version_and_command, protocol], &length, rest].concat()
    }

    async fn read_all(mut bytes: &[u8]) -> (Result<Option<Ends>, ProxyProtocolError>, usize) {
        let result = read(&mut bytes).await;
        (result, bytes.len())
    }

    /// T40.
    #[tokio::test]
    async fn reads_what_it_wrote_and_not_a_byte_more() {
        for ends in [
            ends_of("192.0.2.1:50000", "198.51.100.1:443"),
            ends_of("[2001:db8::1]:50000", "[2001:db8::2]:443"),
            ends_of("[2001:db8::1]:50000", "198.51.100.1:443"),
        ] {
            let bytes = [ends.header(), b"ClientHello".to_vec()].concat();
            let (read, left) = read_all(&bytes).await;
            assert_eq!(read.unwrap(), Some(ends));
            assert_eq!(left, "ClientHello".len());
        }
        let mapped = ends_of("[::ffff:192.0.2.1]:50000", "198.51.100.1:443");
        let (read, _) = read_all(&mapped.header()).await;
        assert_eq!(
            read.unwrap(),
            Some(ends_of("192.0.2.1:50000", "198.51.100.1:443"))
        );
    }

    /// T40: the example of the specification's own layout, byte by byte.
    #[test]
    fn writes_the_bytes_of_the_specification() {
        let bytes = ends_of("192.0.2.1:258", "198.51.100.1:443").header();
        let expected = [
            0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
        ];
        assert_eq!(bytes[..12], expected);
        assert_eq!(bytes[12..16], [0x21, 0x11, 0, 12]);
        assert_eq!(bytes[16..], [192, 0, 2, 1, 198, 51, 100, 1, 1, 2, 1, 0xbb]);
    }

    /// T40.
    #[tokio::test]
    async fn passes_over_what_follows_the_addresses() {
        let ends = ends_of("192.0.2.1:50000", "198.51.100.1:443");
        let addresses = ends.header()[PREFIX..].to_vec();
        let bytes = header(
            PROXY,
            TCP_OVER_IPV4,
            &[addresses, vec![0x04, 0, 2, 0, 0]].concat(),
        );
        assert_eq!(read_all(&bytes).await.0.unwrap(), Some(ends));
    }

    /// T40: the proxy asks for itself, and whatever address it gives is none.
    #[tokio::test]
    async fn a_connection_of_the_proxys_own_has_no_other_end() {
        for rest in [&[][..], &[1; 12]] {
            for protocol in [0, TCP_OVER_IPV4] {
                let bytes = header(LOCAL, protocol, rest);
                assert_eq!(read_all(&bytes).await.0.unwrap(), None);
            }
        }
    }

    /// T40: cut where no proxy would cut it.
    #[tokio::test]
    async fn reads_a_header_that_comes_byte_by_byte() {
        let ends = ends_of("[2001:db8::1]:50000", "[2001:db8::2]:443");
        let (mut ours, mut theirs) = tokio::io::duplex(1);
        let sent = tokio::spawn(async move {
            for byte in ends.header() {
                theirs.write_all(&[byte]).await.unwrap();
            }
        });
        assert_eq!(read(&mut ours).await.unwrap(), Some(ends));
        sent.await.unwrap();
    }

    /// T40.
    #[tokio::test]
    async fn refuses_everything_else() {
        let addresses = [1; IPV6_ADDRESSES];
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n".to_vec(), "version 1"),
            (vec![0x16; PREFIX], "does not begin"),
            (
                header(0x11, TCP_OVER_IPV4, &addresses),
                "unknown version and command",
            ),
            (
                header(0x22, TCP_OVER_IPV4, &addresses),
                "unknown version and command",
            ),
            (header(PROXY, 0, &addresses), "something else than TCP"),
            (header(PROXY, 0x12, &addresses), "something else than TCP"),
            (header(PROXY, 0x31, &addresses), "something else than TCP"),
            (header(PROXY, TCP_OVER_IPV4, &addresses[..11]), "ends within"),
            (header(PROXY, TCP_OVER_IPV6, &addresses[..35]), "ends within"),
            (
                header(PROXY, TCP_OVER_IPV4, &[0; MOST_AFTER_PREFIX + 1]),
                "at most",
            ),
            (SIGNATURE.to_vec(), "broke off"),
            (
                header(PROXY, TCP_OVER_IPV4, &addresses)[..20].to_vec(),
                "broke off",
            ),
        ] {
            let error = read_all(&bytes).await.0.unwrap_err().to_string();
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
    }
}
