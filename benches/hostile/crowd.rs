//! The sockets of members and attackers, and a thread that reads all that they are told.
//!
//! A member that nobody reads would become a slow consumer, and another thing would be measured.

use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use socket2::{Domain, Socket, Type};

/// Connections that were made and have heard nothing yet. More would overflow the queue of the listener, and the kernel
/// would try again only after a second.
const UNGREETED_MAX: usize = 256;
const GREETED_SECONDS_MAX: u64 = 60;
/// The kernel takes long to find a free port of an address that has very many in use.
const SOCKETS_PER_ADDRESS: usize = 500;
const BUFFER_BYTES: usize = 256 * 1024;
const WAKER: Token = Token(usize::MAX);

/// One socket, which its owner writes to and the reader reads.
pub(super) struct Member {
    pub(super) stream: TcpStream,
    /// The server has closed it.
    is_gone: AtomicBool,
}

impl Member {
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }
}

enum Order {
    Read(usize, Arc<Member>),
    Forget(usize),
}

/// All of them. They leave when this is dropped.
pub(super) struct Crowd {
    server: SocketAddr,
    made: usize,
    orders: Sender<Order>,
    waker: Waker,
    greeted: Arc<AtomicUsize>,
}

impl Crowd {
    pub(super) fn new(server: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (orders, taken) = mpsc::channel();
        let greeted = Arc::new(AtomicUsize::new(0));
        let reader = Reader {
            members: Vec::new(),
            greeted: Arc::clone(&greeted),
        };
        thread::spawn(move || reader.run(poll, &taken));
        Ok(Self {
            server,
            made: 0,
            orders,
            waker,
            greeted,
        })
    }

    /// So many more, each greeted. Their numbers begin with the second of what is given.
    pub(super) fn join(&mut self, count: usize) -> io::Result<(Vec<Arc<Member>>, usize)> {
        let first = self.made;
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            self.await_greeted(self.made.saturating_sub(UNGREETED_MAX))?;
            let member = Arc::new(Member {
                stream: self.connect()?,
                is_gone: AtomicBool::new(false),
            });
            let _ = self
                .orders
                .send(Order::Read(self.made, Arc::clone(&member)));
            self.waker.wake()?;
            members.push(member);
            self.made += 1;
        }
        self.await_greeted(self.made)?;
        Ok((members, first))
    }

    /// These leave at once, whatever waits for them.
    pub(super) fn leave(&mut self, members: Vec<Arc<Member>>, first: usize) -> io::Result<()> {
        for (index, member) in members.into_iter().enumerate() {
            socket2::SockRef::from(&member.stream).set_linger(Some(Duration::ZERO))?;
            let _ = self.orders.send(Order::Forget(first + index));
        }
        self.waker.wake()
    }

    fn await_greeted(&self, count: usize) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(GREETED_SECONDS_MAX);
        while self.greeted.load(Ordering::Relaxed) < count {
            if Instant::now() > deadline {
                let greeted = self.greeted.load(Ordering::Relaxed);
                return Err(io::Error::other(format!("only {greeted} were greeted")));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = connect(self.server, self.made / SOCKETS_PER_ADDRESS)?;
        stream.set_nonblocking(true)?;
        Ok(TcpStream::from_std(stream))
    }
}

/// A connection from one of the addresses of the loopback range.
pub(super) fn connect(server: SocketAddr, address: usize) -> io::Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_tcp_nodelay(true)?;
    let last = (address % 250) as u8 + 2;
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&source.into())?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}

/// The thread that reads. It ends when its crowd is dropped.
struct Reader {
    members: Vec<Option<(Arc<Member>, bool)>>,
    greeted: Arc<AtomicUsize>,
}

impl Reader {
    fn run(mut self, mut poll: Poll, orders: &Receiver<Order>) {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            if poll.poll(&mut events, None).is_err() {
                continue;
            }
            for event in &events {
                if event.token() != WAKER {
                    self.read(event.token().0, &mut buffer);
                } else if !self.obey(poll.registry(), orders, &mut buffer) {
                    return;
                }
            }
        }
    }

    /// Tells whether its crowd is still there.
    fn obey(&mut self, registry: &Registry, orders: &Receiver<Order>, buffer: &mut [u8]) -> bool {
        loop {
            match orders.try_recv() {
                Ok(Order::Read(index, member)) => {
                    let source = &mut mio::unix::SourceFd(&descriptor(&member));
                    if registry
                        .register(source, Token(index), Interest::READABLE)
                        .is_err()
                    {
                        member.is_gone.store(true, Ordering::Relaxed);
                    }
                    self.members.resize_with(index + 1, || None);
                    self.members[index] = Some((member, false));
                    self.read(index, buffer);
                }
                Ok(Order::Forget(index)) => self.members[index] = None,
                Err(mpsc::TryRecvError::Empty) => return true,
                Err(mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(Some((member, is_greeted))) = self.members.get_mut(index) else {
            return;
        };
        loop {
            match (&member.stream).read(buffer) {
                Ok(0) => break member.is_gone.store(true, Ordering::Relaxed),
                Ok(_) if !*is_greeted => {
                    *is_greeted = true;
                    self.greeted.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => break member.is_gone.store(true, Ordering::Relaxed),
            }
        }
    }
}

fn descriptor(member: &Member) -> std::os::fd::RawFd {
    use std::os::fd::AsRawFd;
    member.stream.as_raw_fd()
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // The reader looks at its orders when it is woken, and finds that there are no more.
        let (none, _) = mpsc::channel();
        self.orders = none;
        let _ = self.waker.wake();
    }
}
