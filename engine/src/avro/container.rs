//! The record Container of an EventBatch.

use super::wire::{Reader, Result, put_array, put_bool, put_bytes, put_long, put_ulong};
use crate::facts::{Container, Mount, Port};

/// Bytes of the smallest one: what bounds a count before anything is allocated.
pub const LEAST: usize = 27;
const LEAST_MOUNT: usize = 5;

type Labels = [(Vec<u8>, Vec<u8>)];

pub fn put(out: &mut Vec<u8>, container: &Container) {
    let c = container;
    put_ulong(out, c.since);
    c.texts().into_iter().for_each(|text| put_bytes(out, text));
    c.flags().into_iter().for_each(|flag| put_bool(out, flag));
    put_long(out, c.created);
    put_labels(out, &c.labels);
    put_labels(out, &c.sandbox_labels);
    put_array(out, &c.mounts, |out, mount| {
        for text in [&mount.source, &mount.destination, &mount.mode] {
            put_bytes(out, text);
        }
        put_bool(out, mount.writable);
        put_bytes(out, &mount.propagation);
    });
    put_array(out, &c.ports, |out, port| {
        put_bytes(out, &port.host_ip);
        put_long(out, i64::from(port.host_port));
        put_long(out, i64::from(port.port));
    });
}

fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_array(out, labels, |out, (key, value)| {
        put_bytes(out, key);
        put_bytes(out, value);
    });
}

pub fn read(reader: &mut Reader) -> Result<Container> {
    fn text(reader: &mut Reader) -> Result<Vec<u8>> {
        reader.bytes().map(<[u8]>::to_vec)
    }
    fn labels(reader: &mut Reader) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        reader.list(2, |reader| Ok((text(reader)?, text(reader)?)))
    }
    // Fields are evaluated in the order in which they stand here: that of the schema.
    Ok(Container {
        since: reader.ulong()?,
        id: text(reader)?,
        full_id: text(reader)?,
        engine: text(reader)?,
        name: text(reader)?,
        image: text(reader)?,
        image_id: text(reader)?,
        repository: text(reader)?,
        tag: text(reader)?,
        digest: text(reader)?,
        user: text(reader)?,
        ip: text(reader)?,
        cni_json: text(reader)?,
        sandbox_id: text(reader)?,
        pod_ip: text(reader)?,
        pod_cni_json: text(reader)?,
        in_pod: reader.bool()?,
        privileged: reader.bool()?,
        host_pid: reader.bool()?,
        host_network: reader.bool()?,
        host_ipc: reader.bool()?,
        is_sandbox: reader.bool()?,
        created: reader.long()?,
        labels: labels(reader)?,
        sandbox_labels: labels(reader)?,
        mounts: reader.list(LEAST_MOUNT, |reader| {
            Ok(Mount {
                source: text(reader)?,
                destination: text(reader)?,
                mode: text(reader)?,
                writable: reader.bool()?,
                propagation: text(reader)?,
            })
        })?,
        ports: reader.list(3, |reader| {
            Ok(Port {
                host_ip: text(reader)?,
                host_port: reader.number("host_port")?,
                port: reader.number("port")?,
            })
        })?,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A container with something in every field.
    pub fn made() -> Container {
        Container {
            id: b"27794335214c".to_vec(),
            since: u64::MAX,
            full_id: vec![b'2'; 64],
            engine: b"docker".to_vec(),
            name: b"web\xff".to_vec(),
            image: b"nginx:1".to_vec(),
            image_id: b"abc".to_vec(),
            repository: b"nginx".to_vec(),
            tag: b"1".to_vec(),
            digest: b"sha256:0".to_vec(),
            user: b"1000".to_vec(),
            ip: b"10.0.0.2".to_vec(),
            cni_json: b"{}".to_vec(),
            sandbox_id: b"5a5a".to_vec(),
            pod_ip: b"10.0.0.3".to_vec(),
            pod_cni_json: b"[]".to_vec(),
            in_pod: true,
            privileged: true,
            host_pid: true,
            host_network: true,
            host_ipc: true,
            is_sandbox: true,
            created: -1,
            labels: vec![(b"a".to_vec(), b"b".to_vec())],
            sandbox_labels: vec![(b"c".to_vec(), Vec::new())],
            mounts: vec![Mount {
                source: b"/a".to_vec(),
                destination: b"/b".to_vec(),
                mode: b"ro".to_vec(),
                writable: true,
                propagation: b"rprivate".to_vec(),
            }],
            ports: vec![Port {
                host_ip: b"0.0.0.0".to_vec(),
                host_port: u16::MAX,
                port: 80,
            }],
        }
    }
}
