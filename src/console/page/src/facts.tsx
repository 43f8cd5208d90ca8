// Names and values side by side; a long value has a line of its own, unless all are.
export function Facts({ facts, wide = false }: { facts: [string, string][]; wide?: boolean }) {
  return (
    <dl class={`facts ${wide ? 'wide-facts' : ''}`}>
      {facts.map(([name, value]) => (
        <div key={name} class={!wide && value.length > 28 ? 'long' : ''}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
