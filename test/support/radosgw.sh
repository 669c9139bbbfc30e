# Starts a small Ceph with one S3 gateway in the empty folder $D: one monitor, and one object store in memory. The
# gateway listens at PORT, and the monitor at the two ports after it. The third is for a second gateway, which is
# configured but not started. Creates the user with the keys $ACCESS_KEY and $SECRET_KEY.
set -e
F=$(cat /proc/sys/kernel/random/uuid)
export CEPH_CONF="$D/ceph.conf"
mkdir -p "$D/mon" "$D/rgw" "$D/rgw2" "$D/osd0"
cat >"$CEPH_CONF" <<CONF
[global]
fsid=$F
mon_host=[v2:127.0.0.1:$((PORT + 1))/0,v1:127.0.0.1:$((PORT + 2))/0]
mon_initial_members=a
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=4
osd_pool_default_pg_autoscale_mode=off
mon_allow_pool_size_one=true
mon_max_pg_per_osd=1000
osd_crush_chooseleaf_type=0
mon_data_avail_warn=1
mon_data_avail_crit=1
run_dir=$D
log_file=$D/\$name.log
admin_socket=$D/\$name.asok
pid_file=$D/\$name.pid
keyring=$D/keyring
[mon]
mon_data=$D/mon
[osd]
osd_data=$D/osd\$id
osd_objectstore=memstore
memstore_device_bytes=4G
[client.rgw]
rgw_frontends=beast endpoint=127.0.0.1:$PORT tcp_nodelay=1
rgw_data=$D/rgw
[client.rgw2]
rgw_frontends=beast endpoint=127.0.0.1:$((PORT + 3)) tcp_nodelay=1
rgw_data=$D/rgw2
CONF
ceph-authtool -C "$D/keyring" --gen-key -n mon. --cap mon 'allow *'
ceph-authtool "$D/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
ceph-authtool "$D/keyring" --gen-key -n client.rgw --cap mon 'allow rwx' --cap osd 'allow rwx'
ceph-authtool "$D/keyring" --gen-key -n client.rgw2 --cap mon 'allow rwx' --cap osd 'allow rwx'
monmaptool --create --fsid "$F" --addv a "[v2:127.0.0.1:$((PORT + 1)),v1:127.0.0.1:$((PORT + 2))]" "$D/monmap"
ceph-mon --mkfs -i a --monmap "$D/monmap" --keyring "$D/keyring"
ceph-mon -i a
ceph auth import -i "$D/keyring"
ceph osd crush add-bucket h host
ceph osd crush move h root=default
U=$(cat /proc/sys/kernel/random/uuid)
ceph osd new "$U" 0
ceph auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' >>"$D/keyring"
ceph-osd -i 0 --mkfs --osd-uuid "$U"
ceph osd crush add osd.0 1.0 host=h root=default
ceph-osd -i 0
radosgw -n client.rgw
radosgw-admin user create --uid=test --display-name=test --access-key="$ACCESS_KEY" --secret="$SECRET_KEY"
