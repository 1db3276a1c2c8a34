//! Binds the listen addresses.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections the system queues before they are accepted, as in tokio.
const BACKLOG: i32 = 1024;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every address of this machine, IPv6 and IPv4, at this port.
    Every(u16),
    /// This address.
    Only(SocketAddr),
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = if text.starts_with(':') {
            format!("0.0.0.0{text}").parse().map(|address: SocketAddr| Self::Every(address.port()))
        } else {
            text.parse().map(Self::Only)
        };
        parsed.map_err(|_| "must be IP:PORT, such as 127.0.0.1:8080, or :PORT for every address")
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(port) => write!(f, ":{port}"),
            Self::Only(address) => address.fmt(f),
        }
    }
}

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({flag}): {source}")]
pub struct ListenError {
    address: ListenAddress,
    flag: &'static str,
    source: io::Error,
}

/// Binds the address from `flag`, so that an address in use is reported before anything starts.
pub fn listen(address: ListenAddress, flag: &'static str, serving: &str) -> Result<TcpListener, ListenError> {
    let wrong = |source| ListenError { address, flag, source };
    let listener = bound(address, bind).and_then(TcpListener::from_std).map_err(wrong)?;
    // Logs the actual port, which the system chooses for port 0.
    let actual = listener.local_addr().map_or(address, ListenAddress::Only);
    tracing::info!(address = %actual, "Serving {serving}");
    Ok(listener)
}

/// Binds every address as `[::]`, and without IPv6 as `0.0.0.0`.
fn bound<T>(address: ListenAddress, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match address {
        ListenAddress::Only(address) => bind(address),
        ListenAddress::Every(port) => match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
            // With IPv4 alone, another program would get the connections over IPv6.
            Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
            // The error without IPv6 differs between systems.
            Err(_) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
            bound => bound,
        },
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // The default is a setting of the system.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::TcpStream;

    use super::*;

    /// What was bound, and the result, on a system whose answer for `[::]` is `ipv6`.
    fn binding(address: &str, ipv6: Option<ErrorKind>) -> (Vec<String>, Result<(), ErrorKind>) {
        let tried = RefCell::<Vec<String>>::default();
        let bind = |address: SocketAddr| {
            tried.borrow_mut().push(address.to_string());
            ipv6.filter(|_| address.is_ipv6()).map_or(Ok(()), |kind| Err(kind.into()))
        };
        let result = bound(address.parse().unwrap(), bind).map_err(|error| error.kind());
        (tried.into_inner(), result)
    }

    #[test]
    fn every_address_is_ipv6_and_without_it_ipv4() {
        let both = ["[::]:8080", "0.0.0.0:8080"].map(str::to_owned);
        assert_eq!(binding(":8080", None), (both[..1].to_vec(), Ok(())));
        for without in [ErrorKind::AddrNotAvailable, ErrorKind::Unsupported, ErrorKind::Other] {
            assert_eq!(binding(":8080", Some(without)), (both.to_vec(), Ok(())));
        }
    }

    #[test]
    fn address_in_use_and_explicit_address_have_no_alternative() {
        for (address, kind) in [(":8080", ErrorKind::AddrInUse), ("[::]:8080", ErrorKind::AddrNotAvailable)] {
            assert_eq!(binding(address, Some(kind)), (vec!["[::]:8080".to_owned()], Err(kind)));
        }
        for address in ["0.0.0.0:8080", "127.0.0.1:8080", "[::1]:8080"] {
            assert_eq!(binding(address, None), (vec![address.to_owned()], Ok(())));
        }
    }

    #[test]
    fn every_address_accepts_connections_over_ipv4_and_ipv6() {
        let listener = bound(ListenAddress::Every(0), bind).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        // A machine may have no IPv6.
        if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn address_has_a_port() {
        for address in [":0", ":8080", "127.0.0.1:0", "[::1]:8080", "[::]:8080"] {
            assert_eq!(address.parse::<ListenAddress>().unwrap().to_string(), address);
        }
        for wrong in ["", ":", "8080", ":99999", ":+1", "::", "localhost:8080", "127.0.0.1", "[::1]"] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }
}
