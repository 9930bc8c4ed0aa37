// The nonce that the content security policy of this reply allows style elements by (CSP Level 3 §8.1).

/** A browser shows it to scripts as a property alone, so that no style sheet can read it. */
export const nonce = document.querySelector<HTMLMetaElement>('meta[name=csp-nonce]')?.nonce ?? '';
