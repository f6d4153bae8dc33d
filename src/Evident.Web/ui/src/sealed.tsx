// The sealed state: every page says so, shows nothing else, and comes back by itself once somebody has unsealed the vault.
import { Copy, Notice } from './frame.js';
import { Icon } from './icons.js';

const command = 'evident vault unseal';

export const SealedBanner = () => (
  <section class="sealedbanner" role="status" aria-label="vault sealed">
    <p><Icon name="lock" /><span><b>The vault is sealed.</b> Senders are told to come back later, nothing is stored, and nothing can be read.</span></p>
  </section>
);

export const SealedView = () => (
  <Notice title="Waiting for the passphrase.">
    <p>Somebody opens the appliance on its own machine; the ledger says who. This page looks again every few seconds.</p>
    <div class="command"><code>{command}</code><Copy text={command} label="copy the command" /></div>
  </Notice>
);
