//! Opens a configured file. A named pipe or a device could block the host for ever.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Opens the file at `path`, which may be reached by symbolic links.
///
/// # Errors
///
/// The error of the system; [`ErrorKind::InvalidInput`] if it is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_folder_a_device_and_a_socket_are_refused_without_waiting() {
        let name = format!("portcullis-regular-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        let at = |name: &str| folder.join(name);
        let _socket = UnixListener::bind(at("socket")).expect("a socket");
        for path in [folder.as_path(), &at("socket"), Path::new("/dev/zero")] {
            let refused = open(path).expect_err("no regular file");
            assert_eq!(
                refused.kind(),
                ErrorKind::InvalidInput,
                "{}",
                path.display()
            );
        }
        fs::write(at("list"), "x").expect("written");
        symlink(at("list"), at("link")).expect("a link");
        assert!(open(&at("link")).is_ok());
        let missing = open(&at("nothing")).expect_err("missing");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        fs::remove_dir_all(folder).expect("removed");
    }
}
