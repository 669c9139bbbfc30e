// Pace: slow
/** Questions for attributes that an entry has not, which the addon answers by itself. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { leaveOut } from '../helpers/left-out.js';
import { mounted } from '../helpers/mounted-sets.js';
import { until } from '../helpers/until.js';
import { written } from '../helpers/scratch.js';

test(
  'a file without attributes has no label and no ACL',
  mounted(async (lab, t) => {
    fs.mkdirSync(lab.source);
    written(lab.source, 'plain', 'plain');
    await lab.save();
    await lab.mountStore();
    const askFor = (name: string): string => {
      const { stderr } = lab.inside('getfattr', '-n', name, path.join(lab.shown, 'plain'));
      return stderr.trim().replace(/^.*: /s, '');
    };
    // `ls -l` then requests the label of no other file.
    t.is(askFor('security.selinux'), 'Operation not supported');
    t.is(askFor('security.selinux2'), 'No such attribute');
    t.is(askFor('user.none'), 'No such attribute');
    t.is(lab.inside('getfattr', '-d', '-m', '-', path.join(lab.shown, 'plain')).stdout, '');
    t.is(lab.differences(), '');
  }),
);

test(
  'a label is shown as it was saved',
  mounted(async (lab, t) => {
    fs.mkdirSync(lab.source);
    const labelled = written(lab.source, 'labelled', 'labelled');
    const label = 'system_u:object_r:etc_t:s0';
    const set = lab.inside('setfattr', '-n', 'security.selinux', '-v', label, labelled);
    if (set.status !== 0) return leaveOut(t, `no label can be set here: ${set.stderr}`);
    await lab.save();
    await lab.mountStore();
    const shown = lab.inside(
      'getfattr',
      '--only-values',
      '-n',
      'security.selinux',
      path.join(lab.shown, 'labelled'),
    );
    t.is(shown.stdout.replace(/\0$/, ''), label, shown.stderr);
  }),
);

for (const isEncrypting of [false, true]) {
  const client = isEncrypting ? 'a client that encrypts' : 'a plain client';
  test(
    `a mount of ${client} without ACLs refuses questions for them, until a set has one`,
    mounted(async (lab, t) => {
      fs.mkdirSync(lab.source);
      const [plain, listed] = ['plain', 'listed'].map((name) => path.join(lab.source, name));
      fs.writeFileSync(plain!, 'plain');
      fs.writeFileSync(listed!, 'listed');
      const password = lab.password('secret');
      const given = isEncrypting ? ['-F', password] : [];
      await lab.save([...given, '--name', 'one']);
      await lab.mountStore(isEncrypting ? `,pwfile=${password}` : '');
      const acl = (name: string): string => {
        const place = lab.at('Current', lab.source, name);
        const { stdout, stderr } = lab.inside('getfattr', '-n', 'system.posix_acl_access', place);
        return stdout === '' ? stderr.trim().replace(/^.*: /s, '') : stdout;
      };
      await until(() => acl('plain') === 'Operation not supported');
      const requested = lab.inside('getfattr', '-d', lab.at('Current', lab.source, 'plain'));
      t.regex(requested.stderr, /Operation not supported/);
      t.is(lab.differences(), '');
      if (lab.inside('setfacl', '-m', 'u:7:r', listed!).status !== 0) {
        t.log('no ACL can be set here');
        return;
      }
      await lab.save([...given, '--name', 'two']);
      await until(() => fs.readdirSync(lab.view()).includes('two'));
      await until(() => acl('listed').includes('system.posix_acl_access='));
      t.is(acl('plain'), 'No such attribute');
      t.regex(lab.inside('ls', '-l', lab.shown).stdout, /^-rw-r--r--\+ .* listed$/m);
      t.regex(lab.inside('getfacl', '-n', path.join(lab.shown, 'listed')).stdout, /^user:7:r--$/m);
      t.is(lab.differences(), '');
    }),
  );
}
