/**
 * The whole backup, as one composition of streams:
 *
 *   walk ▸ compare ▸ cut ┬▸ read ▸ need ▸ build ▸ send     parcels of files
 *                        └▸ open ▸ basis ▸ parts ▸ send    large files
 *   streams                                                what commands write
 *
 * Each stage is an operator in a file of its name, whose comment has its items and the bound of its queue. All are made
 * by `stage`, with counters that have their names and concurrencies: counters.ts has these, and context.ts what the
 * stages share. A large file passes its four steps in one function (send-large.ts). Items are batches of directories,
 * parcels of files, large files and their parts. No small file is an item of its own.
 *
 * The budget is the backpressure that RxJS lacks. The walk takes entries from it before it emits them, the cut stage
 * takes the bytes of a parcel, and a part of a large file takes its window of chunks. All return when the server has
 * received the data. So the budget bounds the queue before each stage.
 */
import { filter, map, merge, type Observable, type OperatorFunction, share } from 'rxjs';
import { build } from './build.js';
import { compare } from './compare.js';
import type { Context } from './context.js';
import { cut } from './cut.js';
import { need } from './need.js';
import type { LargeFile, Parcel, Work } from './parcel.js';
import { read } from './read.js';
import { send } from './send.js';
import { sendLarge } from './send-large.js';
import { sendStreams } from './send-streams.js';
import { walk } from './walk.js';

/**
 * Returns the stream that runs a backup. It emits no values, and completes when the server has received everything.
 */
export function backup(context: Context): Observable<never> {
  const work = walk(context).pipe(
    compare(context), // with the previous backup: emits directories that differ, with the entries to send
    cut(context), // into parcels and large files
    share(),
  );

  const parcels = work.pipe(
    onlyParcels(),
    read(context), // and hash; in a first backup, this job builds the records too
    need(context), // queries which contents the server needs
    build(context), // their records: compressed, and encrypted if the client encrypts
    send(context),
  );

  const largeFiles = merge(work.pipe(onlyLargeFiles()), context.grown).pipe(
    sendLarge(context), // each is opened, compared with its basis, and sent in parts, then its row
  );

  const streams = sendStreams(context); // what commands write, each piece as a part of a large file

  return merge(parcels, largeFiles, streams);
}

function onlyParcels(): OperatorFunction<Work, Parcel> {
  return (work) =>
    work.pipe(
      filter((item) => 'parcel' in item),
      map(({ parcel }) => parcel),
    );
}

function onlyLargeFiles(): OperatorFunction<Work, LargeFile> {
  return (work) =>
    work.pipe(
      filter((item) => 'large' in item),
      map(({ large }) => large),
    );
}
