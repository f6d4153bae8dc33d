import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { Frame } from './frame.js';
import { LedgerPage } from './ledger.js';
import { followLinks, useRoute } from './route.js';
import { PrivacyPage } from './privacy.js';
import { RunPage } from './run.js';
import { RunsPage } from './runs.js';

function Page() {
  const route = useRoute();
  useEffect(() => {
    document.addEventListener('click', followLinks);
    return () => document.removeEventListener('click', followLinks);
  }, []);
  return (
    <Frame route={route}>
      {route.page === 'run' ? <RunPage key={route.id} id={route.id} step={route.step} all={route.all} />
        : route.page === 'ledger' ? <LedgerPage entry={route.entry} filter={route.filter} show={route.show} />
        : route.page === 'privacy' ? <PrivacyPage />
        : <RunsPage filter={route.filter} />}
    </Frame>
  );
}

render(<Page />, document.getElementById('page')!);
