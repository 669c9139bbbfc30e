/** Questions for attributes that an entry has not, which the addon answers by itself. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { mounted } from '../helpers/mounted-sets.js';

test(
  'a file without attributes has no label and no ACL',
  mounted(async (lab, t) => {
    fs.mkdirSync(lab.source);
    const plain = path.join(lab.source, 'plain');
    fs.writeFileSync(plain, 'plain');
    await lab.save();
    await lab.mountStore();
    const askFor = (name: string): string => {
      const { stderr } = lab.inside('getfattr', '-n', name, path.join(lab.shown, 'plain'));
      return stderr.trim().replace(/^.*: /s, '');
    };
    // `ls -l` then asks for the label of no other file.
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
    const labelled = path.join(lab.source, 'labelled');
    fs.writeFileSync(labelled, 'labelled');
    const label = 'system_u:object_r:etc_t:s0';
    const set = lab.inside('setfattr', '-n', 'security.selinux', '-v', label, labelled);
    if (set.status !== 0) {
      t.log(`no label can be set here: ${set.stderr}`);
      t.pass();
      return;
    }
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
