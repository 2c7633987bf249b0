/** What is wrong with a file, as one sentence for the person who dropped it. */
export class FileError extends Error {}

/** @param {string} what @returns {FileError} */
export const damaged = (what) => new FileError(`This file is damaged: ${what}. Get it again.`);
