// How much room a value needs; a long one has a line of its own.
function room(value: string): string {
  return value.length > 28 ? 'long' : value.length > 18 ? 'medium' : '';
}

// Names and values side by side, each as long as the others where all are long (`wide`).
export function Facts({ facts, wide = false }: { facts: [string, string][]; wide?: boolean }) {
  return (
    <dl class={`facts ${wide ? 'wide-facts' : ''}`}>
      {facts.map(([name, value]) => (
        <div key={name} class={wide ? '' : room(value)}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
